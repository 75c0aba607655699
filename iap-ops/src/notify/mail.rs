//! Messages by e-mail.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{ChannelError, Failure, MailSecurity, MailSettings, Message};

/// A way to some mailboxes.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(settings: &MailSettings) -> Result<Self, ChannelError> {
        let mailbox = |what: &str, text: &str| {
            text.parse().map_err(|_| ChannelError(format!("{what}: `{text}` is no address of e-mail")))
        };
        let to = settings.to.iter().map(|text| mailbox("to", text)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(ChannelError("to: nobody gets it".to_owned()));
        }
        let parameters = || {
            TlsParameters::new(settings.host.clone())
                .map_err(|_| ChannelError("host: it cannot be verified over TLS".to_owned()))
        };
        let tls = match settings.security {
            MailSecurity::Tls => Tls::Wrapper(parameters()?),
            MailSecurity::StartTls => Tls::Required(parameters()?),
            MailSecurity::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(Duration::from_secs(20)));
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self { transport: builder.build(), from: mailbox("from", &settings.from)?, to })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        // A name from outside must not begin a header of its own.
        let title: String = message.title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut letter = Letter::builder()
            .from(self.from.clone())
            .subject(format!("[{}] {title}", message.severity.as_str()))
            .message_id(Some(format!("<{}@iap>", message.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        let letter = letter.body(message.text.clone()).map_err(|error| Failure::never(error.to_string()))?;
        match self.transport.send(letter).await {
            Ok(_) => Ok(()),
            // The server says so, and will say so again.
            Err(error) if error.is_permanent() => Err(Failure::never(shown(&error))),
            Err(error) => Err(Failure::later(shown(&error))),
        }
    }
}

/// What a server has said is data of its own: a line of it is enough.
fn shown(error: &lettre::transport::smtp::Error) -> String {
    let text = error.to_string();
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
