//! Channels with their secrets.

use iap_core::upstream::UpstreamTls;
use iap_ops::notify::{ChannelSettings, MailSecurity, MailSettings};

use crate::boot::read_secret;
use crate::config::{ChannelConfig, Environment, MailConfig, Security, UpstreamTlsConfig};

pub(super) fn settings(config: &ChannelConfig, environment: &Environment) -> Result<ChannelSettings, String> {
    let secret = |name: &str, reference| {
        read_secret(reference, environment).map_err(|error| format!("{name}: {error}"))
    };
    Ok(match config {
        ChannelConfig::Webhook(hook) => {
            let url = secret("url", &hook.url)?;
            let tls = tls(&url, hook.tls.as_ref())?;
            let secret = hook.secret.as_ref().map(|reference| secret("secret", reference)).transpose()?;
            ChannelSettings::Webhook { url, secret, tls }
        }
        ChannelConfig::Slack(slack) => {
            let url = secret("url", &slack.url)?;
            let tls = tls(&url, slack.tls.as_ref())?;
            ChannelSettings::Slack { url, tls }
        }
        ChannelConfig::Mail(mail) => {
            let password =
                mail.password.as_ref().map(|reference| secret("password", reference)).transpose()?;
            ChannelSettings::Mail(mail_settings(mail, password))
        }
    })
}

fn mail_settings(mail: &MailConfig, password: Option<String>) -> MailSettings {
    let (security, usual) = match mail.security {
        Security::Tls => (MailSecurity::Tls, 465),
        Security::StartTls => (MailSecurity::StartTls, 587),
        Security::None => (MailSecurity::None, 25),
    };
    MailSettings {
        host: mail.host.clone(),
        port: mail.port.unwrap_or(usual),
        security,
        login: mail.user.clone().zip(password),
        from: mail.from.clone(),
        to: mail.to.clone(),
    }
}

fn tls(url: &str, config: Option<&UpstreamTlsConfig>) -> Result<Option<UpstreamTls>, String> {
    if !url.starts_with("https://") {
        return Ok(None);
    }
    let settings = config.cloned().unwrap_or_default().settings();
    UpstreamTls::load(&settings).map(Some).map_err(|error| format!("tls: {error}"))
}
