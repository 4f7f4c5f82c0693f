//! Whether a request may come in by its `Host` and `Origin`: what keeps web pages from talking to a server by way of a browser.
//!
//! A page of anybody's can make the browser send requests to servers on the user's own machine, and a name that its owner points at
//! 127.0.0.1 makes that look like a request to the page's own server (DNS rebinding). Browsers tell the name they took in `Host`, and
//! the page in `Origin` (specification: basic/transports, Security Warning; RFC 9110, 7.2; RFC 6454, 7).

mod authority;

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use http::request::Parts;
use http::{HeaderName, StatusCode, Version, header};

use self::authority::{Authority, Origin};
use super::headers::{self, HeaderFault};

/// Which hosts and origins are let in. Made once, and shared by everybody.
///
/// Of an address that only this machine reaches, hosts and origins are the names of this machine: `localhost`, 127.0.0.0/8 and `[::1]`,
/// with any port; an origin is one of `http` or `https`. Of any other address every host is let in, until one is named, and no origin
/// but the ones that are named. A request without `Origin` comes from no web page, and is let in.
///
/// ```
/// use http::Request;
/// use mcp_proto::http::security::Security;
///
/// let security = Security::of("127.0.0.1:8000".parse()?).allow_origin("https://app.example.com")?;
/// let request = |host: &str, origin: &str| {
///     let request = Request::post("/mcp").header("host", host).header("origin", origin);
///     request.body(()).map(|request| request.into_parts().0)
/// };
/// assert!(security.check(&request("localhost:8000", "http://localhost:5173")?).is_ok());
/// assert!(security.check(&request("localhost:8000", "https://app.example.com")?).is_ok());
/// let forbidden = security.check(&request("rebound.example.net:8000", "http://rebound.example.net:8000")?).unwrap_err();
/// assert_eq!(forbidden.status(), 421);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Security {
    hosts: Allowed<Authority>,
    origins: Allowed<Origin>,
}

#[derive(Clone, Debug)]
struct Allowed<T> {
    /// What is let in beside what is named.
    others: Others,
    named: Vec<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// Everybody.
    Any,
    /// Everybody, as long as nobody is named.
    AnyUnlessNamed,
    /// The names of this machine.
    Loopback,
    None,
}

impl Security {
    /// What is right for a server that listens on this address.
    pub fn of(bind: SocketAddr) -> Self {
        let (hosts, origins) = if bind.ip().to_canonical().is_loopback() {
            (Others::Loopback, Others::Loopback)
        } else {
            (Others::AnyUnlessNamed, Others::None)
        };
        Self {
            hosts: Allowed { others: hosts, named: Vec::new() },
            origins: Allowed { others: origins, named: Vec::new() },
        }
    }

    /// Lets a host in, with any port, or with the one that is given: `mcp.example.com`, `192.0.2.1:8000`, `[2001:db8::1]`.
    ///
    /// # Errors
    ///
    /// When this is no host as it stands in `Host`. There are no wildcards.
    pub fn allow_host(mut self, host: &str) -> Result<Self, NotAnAddress> {
        let named = Authority::read(host).ok_or_else(|| NotAnAddress { text: host.into(), wanted: Checked::Host })?;
        self.hosts.named.push(named);
        Ok(self)
    }

    /// Lets an origin in: `https://app.example.com`, `vscode-webview://name`, `null`. A port that is not given is the one of the scheme.
    ///
    /// `null` is what a browser says for every page that has no origin of its own; to let it in is to let in many pages of strangers.
    ///
    /// # Errors
    ///
    /// When this is no origin as it stands in `Origin`: scheme, host and port, and nothing behind them. There are no wildcards.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, NotAnAddress> {
        let named =
            Origin::read(origin).ok_or_else(|| NotAnAddress { text: origin.into(), wanted: Checked::Origin })?;
        self.origins.named.push(named);
        Ok(self)
    }

    /// Lets every host in that is well-formed, whoever is named: for servers behind a proxy that has checked it, or that writes its own.
    #[must_use]
    pub fn allow_any_host(mut self) -> Self {
        self.hosts.others = Others::Any;
        self
    }

    /// Lets every web page in, whoever is named: for servers that hold nothing worth protecting, or that know their users by
    /// something that no browser sends on its own.
    #[must_use]
    pub fn allow_any_origin(mut self) -> Self {
        self.origins.others = Others::Any;
        self
    }

    /// Judges a request by its head: for every method, and before anything of its body is read.
    ///
    /// The host is the one of the request's target where that has one (HTTP/2, proxies), else the one of `Host`.
    ///
    /// # Errors
    ///
    /// Whoever may not come in.
    pub fn check(&self, head: &Parts) -> Result<(), Forbidden> {
        self.check_host(head).map_err(Forbidden::Host)?;
        self.check_origin(head).map_err(Forbidden::Origin)
    }

    fn check_host(&self, head: &Parts) -> Result<(), Reason> {
        let host = only(head, &header::HOST)?.map(|host| Authority::read(host).ok_or(Reason::Malformed)).transpose()?;
        let target = head.uri.authority();
        let target = target.map(|target| Authority::read(target.as_str()).ok_or(Reason::Malformed)).transpose()?;
        let default = head.uri.scheme_str().and_then(authority::default_port);
        let asked = match (&target, &host) {
            (Some(target), Some(host)) if !target.is_same(host, default) => return Err(Reason::Contradictory),
            (Some(asked), _) | (None, Some(asked)) => asked,
            // HTTP/1.0 has no such header, and HTTP/2 need not have it.
            (None, None) if self.hosts.lets_all_in() && head.version != Version::HTTP_11 => return Ok(()),
            (None, None) => return Err(Reason::Missing),
        };
        let is_named = self.hosts.named.iter().any(|named| named.admits(asked));
        self.hosts.judge(is_named, || asked.is_loopback(), asked)
    }

    fn check_origin(&self, head: &Parts) -> Result<(), Reason> {
        let Some(origin) = only(head, &header::ORIGIN)? else { return Ok(()) };
        let origin = Origin::read(origin).ok_or(Reason::Malformed)?;
        let is_named = self.origins.named.contains(&origin);
        self.origins.judge(is_named, || origin.is_loopback(), &origin)
    }
}

impl<T> Allowed<T> {
    fn lets_all_in(&self) -> bool {
        match self.others {
            Others::Any => true,
            Others::AnyUnlessNamed => self.named.is_empty(),
            Others::Loopback | Others::None => false,
        }
    }

    fn judge(&self, is_named: bool, is_loopback: impl FnOnce() -> bool, asked: &T) -> Result<(), Reason>
    where
        T: fmt::Display,
    {
        if is_named || self.lets_all_in() || (self.others == Others::Loopback && is_loopback()) {
            return Ok(());
        }
        Err(Reason::NotAllowed(asked.to_string().chars().take(SHOWN).collect::<String>().into()))
    }
}

/// How much is shown of what a stranger said.
const SHOWN: usize = 100;

/// The one value of this header.
fn only<'a>(head: &'a Parts, name: &HeaderName) -> Result<Option<&'a str>, Reason> {
    let value = headers::single(&head.headers, name).map_err(|fault| match fault {
        HeaderFault::Repeated => Reason::Repeated,
        _ => Reason::Malformed,
    })?;
    value
        .map(|value| value.to_str().map(|text| text.trim_matches([' ', '\t'])).map_err(|_| Reason::Malformed))
        .transpose()
}

/// Who may not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forbidden {
    /// By its host.
    Host(Reason),
    /// By its origin.
    Origin(Reason),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has to be there, and is not.
    Missing,
    /// It is there more than once.
    Repeated,
    /// It is not what may stand there: several values in one, a user's name, a path, a zone, a point at the end, nothing at all.
    Malformed,
    /// The target of the request names another host than `Host`.
    Contradictory,
    /// This one is not among those who may, cut to 100 characters.
    NotAllowed(Box<str>),
}

impl Forbidden {
    /// The status that answers it: 421 for another server's name, 403 for an origin, 400 for a request whose host cannot be told.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Host(Reason::NotAllowed(_)) => StatusCode::MISDIRECTED_REQUEST,
            Self::Host(_) => StatusCode::BAD_REQUEST,
            Self::Origin(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, reason, how) = match self {
            Self::Host(reason) => ("Host", reason, "allow_host"),
            Self::Origin(reason) => ("Origin", reason, "allow_origin"),
        };
        match reason {
            Reason::Missing => write!(f, "{header}: the header is missing"),
            Reason::Repeated => write!(f, "{header}: the header stands there more than once"),
            Reason::Malformed => write!(f, "{header}: the header is malformed"),
            Reason::Contradictory => write!(f, "{header}: the target of the request names another host"),
            Reason::NotAllowed(value) => {
                write!(f, "{header}: {value} is not allowed here; the server allows it with `{how}`")
            }
        }
    }
}

impl core::error::Error for Forbidden {}

/// A text that was given as a host or an origin, and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnAddress {
    text: Box<str>,
    wanted: Checked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    Host,
    Origin,
}

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.wanted {
            Checked::Host => "a host, such as mcp.example.com or 192.0.2.1:8000",
            Checked::Origin => "an origin, such as https://app.example.com",
        };
        write!(f, "{:?} is not {wanted}", self.text)
    }
}

impl core::error::Error for NotAnAddress {}

#[cfg(test)]
mod tests;
