//! `iap-host user`: the file of people who may sign in.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use iap_core::BoxError;

use super::users::{Users, check_name, hash};
use crate::cli::{UserCommand, UserFileArgs};
use crate::run;

/// Does what is asked for; a running host sees the file change.
#[allow(clippy::print_stdout)] // The answer of the command.
pub(crate) fn command(command: &UserCommand) -> Result<ExitCode, BoxError> {
    let file = match command {
        UserCommand::Add { file, .. }
        | UserCommand::Role { file, .. }
        | UserCommand::Password { file, .. }
        | UserCommand::Remove { file, .. }
        | UserCommand::List { file } => place(file)?,
    };
    let mut users = Users::read(&file)?;
    let role_of = |users: &Users, name: &str| {
        users.role(name).ok_or_else(|| format!("{}: there is no `{}`", file.display(), name.escape_debug()))
    };
    match command {
        UserCommand::Add { name, role, .. } => {
            check_name(name)?;
            if users.role(name).is_some() {
                return Err(format!(
                    "`{name}` is there already: `iap-host user role` or `password` changes it"
                )
                .into());
            }
            users.set(name, *role, hash(&password(name)?)?);
        }
        UserCommand::Role { name, role, .. } => {
            role_of(&users, name)?;
            users.set_role(name, *role);
        }
        UserCommand::Password { name, .. } => {
            let role = role_of(&users, name)?;
            users.set(name, role, hash(&password(name)?)?);
        }
        UserCommand::Remove { name, .. } => {
            role_of(&users, name)?;
            users.remove(name);
        }
        UserCommand::List { .. } => {
            for (name, role) in users.list() {
                println!("{name:<24} {role}");
            }
            return Ok(ExitCode::SUCCESS);
        }
    }
    users.write(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn place(args: &UserFileArgs) -> Result<PathBuf, BoxError> {
    if let Some(file) = &args.file {
        return Ok(file.clone());
    }
    let config = run::load(&args.config, &std::env::vars().collect())?;
    let users = config.admin.access.and_then(|access| access.users);
    users.ok_or_else(|| format!("{}: `admin.access.users` is not set", args.config.display()).into())
}

/// At a terminal it is asked for twice and not shown; else it is the first line of standard input.
fn password(name: &str) -> Result<String, BoxError> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let first = rpassword::prompt_password(format!("password of {name}: "))?;
    match rpassword::prompt_password("once more: ")? == first {
        true => Ok(first),
        false => Err("the two are not the same".into()),
    }
}
