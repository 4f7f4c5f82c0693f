//! Checks the manifest; prints what does not hold, and as the last line how many requirements are proven and open.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mcp_manifest::check_all() {
        Ok((summary, complaints)) => {
            complaints.iter().for_each(|complaint| println!("{complaint}"));
            println!("manifest: {summary}");
            if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the workspace cannot be read: {error}");
            ExitCode::FAILURE
        }
    }
}
