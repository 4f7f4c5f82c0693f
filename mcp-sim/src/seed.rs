//! The seed as people write it.

/// The environment variable that names the first seed.
pub(crate) const VARIABLE: &str = "MCP_SIM_SEED";

/// The seed in the environment variable `MCP_SIM_SEED`, if it is set.
///
/// # Errors
///
/// When it is no number of 64 bits, decimal or hexadecimal with `0x`.
pub fn seed_of_environment() -> Result<Option<u64>, String> {
    match std::env::var(VARIABLE) {
        Ok(text) => read(&text).map(Some).ok_or_else(|| format!("{VARIABLE}={text} is no number of 64 bits")),
        Err(_) => Ok(None),
    }
}

fn read(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read() {
        assert_eq!([read("17"), read("0x1F"), read(" 0xffffffffffffffff ")], [Some(17), Some(31), Some(u64::MAX)]);
        assert_eq!([read(""), read("0x"), read("-1"), read("1f")], [None; 4]);
    }
}
