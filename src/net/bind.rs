//! Where a server listens: on this machine only, unless somebody says otherwise.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// The TCP address of a server. A port alone is one of the loopback interface, and port 0 lets the system choose a free one.
///
/// Over TCP nothing is encrypted and nobody is asked who they are: whoever reaches the port may use every tool. So an address that other
/// machines can reach is refused, unless it comes by [`Bind::public`].
///
/// ```
/// use mcp::net::Bind;
///
/// let port: Bind = 4000.into();
/// let text: Bind = "[::1]:4000".into();
/// let open = Bind::public(([0, 0, 0, 0], 4000));
/// # drop((port, text, open));
/// ```
#[derive(Clone, Debug)]
pub struct Bind {
    /// A text that is no address is kept until somebody binds, who can fail.
    address: Result<SocketAddr, String>,
    reach: Reach,
}

/// Who can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    ThisMachine,
    Anyone,
}

impl Bind {
    /// This port, for clients on this machine.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self { address: Ok((Ipv4Addr::LOCALHOST, port).into()), reach: Reach::ThisMachine }
    }

    /// Any address, for whoever can reach it. Something else has to see to who that is: a firewall, a tunnel, a private network.
    #[must_use]
    pub fn public(address: impl Into<SocketAddr>) -> Self {
        Self { address: Ok(address.into()), reach: Reach::Anyone }
    }

    pub(crate) fn address(self) -> io::Result<SocketAddr> {
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        match self.address {
            Ok(address) if self.reach == Reach::Anyone || address.ip().to_canonical().is_loopback() => Ok(address),
            Ok(address) => invalid(format!(
                "other machines can reach {address}, and over plain TCP nobody is asked who they are: \
                 listen on 127.0.0.1, or say Bind::public if that is meant"
            )),
            Err(text) => {
                invalid(format!("{text:?} is no address to listen on: say 4000, 127.0.0.1:4000 or [::1]:4000"))
            }
        }
    }
}

impl From<u16> for Bind {
    fn from(port: u16) -> Self {
        Self::loopback(port)
    }
}

impl From<SocketAddr> for Bind {
    fn from(address: SocketAddr) -> Self {
        Self { address: Ok(address), reach: Reach::ThisMachine }
    }
}

/// An address such as `127.0.0.1:4000` or `localhost:4000`, or a port. Anything else is an error when it is bound.
impl From<&str> for Bind {
    fn from(text: &str) -> Self {
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        match (text.parse(), port.parse()) {
            (Ok(address), _) => Self { address: Ok(address), reach: Reach::ThisMachine },
            (_, Ok(port)) => Self::loopback(port),
            _ => Self { address: Err(text.to_owned()), reach: Reach::ThisMachine },
        }
    }
}

impl From<String> for Bind {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(bind: impl Into<Bind>) -> Option<String> {
        bind.into().address().ok().map(|address| address.to_string())
    }

    #[test]
    fn only_this_machine_by_default() {
        for (given, taken) in [
            ("4000", Some("127.0.0.1:4000")),
            ("localhost:4000", Some("127.0.0.1:4000")),
            ("127.0.0.9:4000", Some("127.0.0.9:4000")),
            ("[::1]:4000", Some("[::1]:4000")),
            ("0.0.0.0:4000", None),
            ("[::]:4000", None),
            ("192.0.2.1:4000", None),
            ("[::ffff:192.0.2.1]:4000", None),
            ("example.com:4000", None),
            ("localhost", None),
            ("", None),
            ("70000", None),
        ] {
            assert_eq!(address(given).as_deref(), taken, "{given}");
        }
        assert_eq!(address(0).as_deref(), Some("127.0.0.1:0"));
        assert_eq!(address(SocketAddr::from(([0, 0, 0, 0], 1))), None);
        assert_eq!(address(Bind::public(([0, 0, 0, 0], 1))).as_deref(), Some("0.0.0.0:1"));
        let error = Bind::from("0.0.0.0:1").address().unwrap_err();
        assert!(error.to_string().contains("Bind::public"), "{error}");
    }
}
