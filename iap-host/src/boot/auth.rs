//! Who may ask: passwords, tokens and keys, read where the settings say.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use iap_core::rules::{Auth, Basic, Bearer, Jwt, JwtKeys};

use super::secret::read_secret;
use crate::config::{AuthConfig, ChannelConfig, Config, Environment, JwtConfig, SecretRef};

/// What stands for the contents of all files of secrets that a reload takes up, by the section they belong to. Equal for equal
/// contents.
pub(super) type Material = [(&'static str, u64); 5];

/// Looks at the files that passwords, tokens and keys are read from. One that cannot be read counts as another: what is wrong
/// with it is found when it is used. The file of the console's users is none of them: it is watched.
pub(super) fn material(config: &Config) -> Material {
    let routes = config.routes.iter().filter_map(|route| route.auth.as_ref()).flat_map(files);
    let keys = config.sessions.sign.iter().flat_map(|sign| std::iter::once(&sign.key).chain(&sign.former));
    let access = config.admin.access.as_ref();
    let programs = access.iter().flat_map(|access| access.tokens.values().map(|program| &program.token));
    let provider = access.and_then(|access| access.oidc.as_ref()?.client_secret.as_ref());
    let channels = config.alerts.channels.values().flat_map(ChannelConfig::secrets);
    [
        ("routes", contents(routes)),
        ("sessions", contents(keys.filter_map(secret_file))),
        ("admin", contents(programs.chain(provider).filter_map(secret_file))),
        ("alerts", contents(channels.filter_map(secret_file))),
        ("ops", contents(config.ops.secrets().filter_map(secret_file))),
    ]
}

fn contents<'a>(files: impl Iterator<Item = &'a Path>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

fn files(auth: &AuthConfig) -> Vec<&Path> {
    match auth {
        AuthConfig::Basic { users, .. } => vec![users],
        AuthConfig::Bearer { tokens, .. } => tokens.values().filter_map(secret_file).collect(),
        AuthConfig::Jwt(jwt) => {
            let keys = jwt.keys.as_deref();
            keys.into_iter().chain(jwt.secret.as_ref().and_then(secret_file)).collect()
        }
    }
}

fn secret_file(reference: &SecretRef) -> Option<&Path> {
    match reference {
        SecretRef::File(file) => Some(file),
        SecretRef::Env(_) => None,
    }
}

/// The check of a route's logins. Errors name the place, never a secret.
pub(super) fn build_auth(
    route: &str,
    config: &AuthConfig,
    environment: &Environment,
) -> Result<Auth, String> {
    let built = match config {
        AuthConfig::Basic { users: file, realm } => {
            let place = |error: &dyn Display| format!("{}: {error}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| place(&error))?;
            let users = Basic::parse(&text).map_err(|error| place(&error))?;
            Auth::basic(realm.as_deref().unwrap_or(route), users)
        }
        AuthConfig::Bearer { tokens, realm } => {
            let mut read = Vec::with_capacity(tokens.len());
            for (owner, reference) in tokens {
                let token = read_secret(reference, environment);
                read.push((owner.clone(), token.map_err(|error| format!("auth: {owner}: {error}"))?));
            }
            Bearer::new(read).and_then(|tokens| Auth::bearer(realm.as_deref().unwrap_or(route), tokens))
        }
        AuthConfig::Jwt(jwt) => {
            let auth = Auth::jwt(jwt.realm.as_deref().unwrap_or(route), build_jwt(jwt, environment)?);
            auth.map(|auth| if jwt.forward { auth.forward() } else { auth })
        }
    };
    built.map_err(|error| format!("auth: {error}"))
}

fn build_jwt(config: &JwtConfig, environment: &Environment) -> Result<Jwt, String> {
    let keys = match (&config.keys, &config.secret) {
        (Some(file), _) => {
            let place = |error: &dyn Display| format!("auth.jwt.keys: {}: {error}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| place(&error))?;
            JwtKeys::parse(&text).map_err(|error| place(&error))?
        }
        (None, Some(reference)) => {
            let place = |error: &dyn Display| format!("auth.jwt.secret: {error}");
            let secret = read_secret(reference, environment).map_err(|error| place(&error))?;
            JwtKeys::secret(secret.as_bytes()).map_err(|error| place(&error))?
        }
        (None, None) => return Err("auth.jwt has no keys".to_owned()),
    };
    let mut jwt = Jwt::new(keys).audience(&config.audience).issuer(&config.issuer);
    if let Some(claim) = &config.user {
        jwt = jwt.user_claim(claim);
    }
    Ok(match config.leeway {
        Some(leeway) => jwt.leeway(leeway.0),
        None => jwt,
    })
}
