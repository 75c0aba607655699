//! `iap-host completion` and `iap-host man`: what shells and `man` know of the command line.

use std::fs::OpenOptions;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::builder::Resettable;
use clap_complete::Shell as Generator;
use clap_mangen::roff::{Roff, roman};
use iap_core::BoxError;

use super::args::{ManArgs, Shell};
use super::print;
use crate::cli::{Cli, EXAMPLES};

/// Prints the completion of a shell.
pub(crate) fn completion(shell: Shell) -> Result<ExitCode, BoxError> {
    let generator = match shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "iap-host", &mut text);
    // clap_complete 4.6 gives a bash script two names for commands below one with a hyphen, so that nothing fits.
    let text = String::from_utf8(text)?.replace("iap__subcmd__host", "iap__host");
    print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages into a directory, or prints the first.
pub(crate) fn man(args: &ManArgs) -> Result<ExitCode, BoxError> {
    // Lines of examples are to stay lines.
    let command = Cli::command().after_help(Resettable::Reset);
    match &args.directory {
        Some(directory) => {
            let written = std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command, directory))
                .and_then(|()| OpenOptions::new().append(true).open(directory.join("iap-host.1")))
                .and_then(|mut page| examples().to_writer(&mut page));
            written.map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        None => {
            let mut text = Vec::new();
            clap_mangen::Man::new(command).render(&mut text)?;
            examples().to_writer(&mut text)?;
            print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn examples() -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in EXAMPLES.lines().skip(1) {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page
}
