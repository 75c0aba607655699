//! Secrets, read where their references lead.

use std::path::Path;

use crate::config::{Environment, SecretRef};

/// Reads a secret where its reference leads. Errors name the place, never the value.
pub(crate) fn read_secret(reference: &SecretRef, environment: &Environment) -> Result<String, String> {
    let value = match reference {
        SecretRef::Env(name) => environment
            .get(name)
            .cloned()
            .ok_or_else(|| format!("the environment variable `{name}` is not set"))?,
        SecretRef::File(path) => read_secret_file(path)?,
    };
    if value.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(value) }
}

fn read_secret_file(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
