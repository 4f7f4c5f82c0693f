//! Hosts with ports and origins, read strictly: what two readers could take for two things is taken for nothing.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host, and a port if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// In lower case.
    Name(String),
    /// Addresses are written in many ways, and compared as numbers.
    Address(IpAddr),
}

impl Authority {
    /// `name`, `name:port`, `1.2.3.4`, `[::1]:port`. An empty port is none (RFC 3986, 3.2.3).
    pub(super) fn read(text: &str) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            // An address of its own kind: zones are no part of what this reads.
            let address = address.parse::<Ipv6Addr>().ok()?;
            let port = if rest.is_empty() { "" } else { rest.strip_prefix(':')? };
            (Host::Address(IpAddr::V6(address).to_canonical()), port)
        } else {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            (Host::read(name)?, port)
        };
        Some(Self { host, port: read_port(port)? })
    }

    /// Whether a request for `asked` is let in by this one, which was named.
    pub(super) fn admits(&self, asked: &Self) -> bool {
        // Without a port it is the one of HTTP or of HTTPS, which an end of TLS before us makes of the other.
        let port_fits = match (self.port, asked.port) {
            (None, _) | (Some(80 | 443), None) => true,
            (port, asked) => port == asked,
        };
        self.host == asked.host && port_fits
    }

    /// Whether both are the same, with this port where none is given.
    pub(super) fn is_same(&self, other: &Self, default: Option<u16>) -> bool {
        self.host == other.host && self.port.or(default) == other.port.or(default)
    }

    /// Whether it names this machine, whatever the port.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost",
            Host::Address(address) => address.is_loopback(),
        }
    }
}

impl Host {
    /// A name of the domain name system, or an address of four decimal numbers. One that other readers take for an address, such as
    /// `0x7f.1`, is a name here, and so is never this machine.
    fn read(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        // The longest name that can be asked for, and what names are made of; a point at the end or two in a row is none of it.
        let is_name = text.len() <= 253
            && text.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            });
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Digits only: other readers pass over signs and spaces.
fn read_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits).map(Some)
}

/// The port of a scheme, where it has one.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Where a web page comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `null`: from nowhere, or from where it is not told.
    Opaque,
    /// With the port of the scheme where none is given.
    Page { scheme: String, authority: Authority },
}

impl Origin {
    /// `null`, or a scheme, a host, and a port if it is not the scheme's own; nothing else (RFC 6454, 6.2).
    pub(super) fn read(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Opaque);
        }
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let mut authority = Authority::read(authority)?;
        authority.port = authority.port.or(default_port(&scheme));
        Some(Self::Page { scheme, authority })
    }

    /// Whether the page comes from a server of this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Opaque => false,
            Self::Page { scheme, authority } => matches!(&**scheme, "http" | "https") && authority.is_loopback(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opaque => f.write_str("null"),
            Self::Page { scheme, authority } => {
                let default = default_port(scheme);
                let authority =
                    Authority { port: authority.port.filter(|port| Some(*port) != default), ..authority.clone() };
                write!(f, "{scheme}://{authority}")
            }
        }
    }
}
