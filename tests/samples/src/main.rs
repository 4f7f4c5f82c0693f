//! Prints every sample, one JSON object per line: `{"revision","sender","kind","message"}`.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for sample in mcp_samples::samples() {
        writeln!(out, "{sample}")?;
    }
    out.flush()
}
