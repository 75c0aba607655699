//! How often the root cause of public fault injections is found.
//!
//! ```sh
//! cargo run --release -p iap-ops --example root_cause_quality -- sockshop DIRECTORY
//! cargo run --release -p iap-ops --example root_cause_quality -- petshop DIRECTORY [train]
//! ```
//!
//! Sock Shop: `<service>-<cpu|mem>/<case>/{normal,anomalous}.csv`. Given are the columns `<service>_<cpu|mem>` of both files
//! one after the other; where the second begins is not. The answer is a ranking of these columns.
//!
//! PetShop: `graph.csv`, `noissue/metrics.csv`, `test/issue_*`. Given are the graph, the metrics without an issue, those of the
//! issue, and which metric of which component users notice. The answer is a ranking of the components.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, reason = "a program that prints a table")]

mod quality;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match *arguments {
        ["sockshop", directory] => quality::sockshop::run(Path::new(directory)),
        ["petshop", directory] => quality::petshop::run(Path::new(directory), "test"),
        ["petshop", directory, part] => quality::petshop::run(Path::new(directory), part),
        _ => None,
    };
    if found.is_none() {
        eprintln!("give `sockshop` or `petshop`, and the directory with its data");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
