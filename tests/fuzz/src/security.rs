//! `security`: who is let in by `Host`, `Origin` and the request's target, against a reader that goes sign by sign.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderValue, Request, Version, header};
use mcp_proto::http::security::Security;

/// The bytes: which server, then lines: hosts that are named, origins that are named, the target, `Host` and `Origin`. In the last two
/// a tab parts values of several headers, and a line that is missing is a header that is missing.
pub fn security(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut lines = rest.split(|byte| *byte == b'\n');
    let mut line = || lines.next();
    let words = |line: Option<&[u8]>| -> Vec<String> {
        let text = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
        text.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect()
    };
    let is_local = choice & 1 == 1;
    let (any_host, any_origin) = (choice & 2 == 2, choice & 4 == 4);
    let version = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2][usize::from(choice >> 3) % 3];
    let bind: IpAddr = if is_local { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut security = Security::of(SocketAddr::new(bind, 8000));
    let (mut hosts, mut origins) = (Vec::new(), Vec::new());
    for word in words(line()) {
        let named = security.clone().allow_host(&word);
        assert_eq!(named.is_ok(), authority(&word).is_some(), "{word:?} is a host");
        hosts.extend(authority(&word));
        security = named.unwrap_or(security);
    }
    for word in words(line()) {
        let named = security.clone().allow_origin(&word);
        assert_eq!(named.is_ok(), origin(&word).is_some(), "{word:?} is an origin");
        origins.extend(origin(&word));
        security = named.unwrap_or(security);
    }
    if any_host {
        security = security.allow_any_host();
    }
    if any_origin {
        security = security.allow_any_origin();
    }

    let target = words(line()).into_iter().next().unwrap_or("/mcp".into());
    let Ok(mut request) = Request::builder().uri(&target).version(version).body(()) else { return };
    let mut values = [Vec::new(), Vec::new()];
    for (name, values) in [header::HOST, header::ORIGIN].iter().zip(&mut values) {
        for value in line().into_iter().flat_map(|line| line.split(|byte| *byte == b'\t')) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.headers_mut().append(name, value.clone());
                // Signs outside of ASCII are none that a host has.
                values.push(
                    value
                        .as_bytes()
                        .iter()
                        .map(|byte| char::from(*byte))
                        .collect::<String>()
                        .trim_matches(' ')
                        .to_owned(),
                );
            }
        }
    }
    let [host_values, origin_values] = values;
    let head = request.into_parts().0;
    let verdict = security.check(&head);

    let scheme = head.uri.scheme_str().unwrap_or_default();
    let in_target = head.uri.authority().map(|it| authority(it.as_str()));
    let is_fine_host = match (&host_values[..], in_target) {
        ([], None) => version != Version::HTTP_11 && (any_host || (!is_local && hosts.is_empty())),
        ([], Some(target)) => target.is_some_and(|it| is_allowed_host(&it, &hosts, is_local, any_host)),
        ([host], None) => authority(host).is_some_and(|it| is_allowed_host(&it, &hosts, is_local, any_host)),
        ([host], Some(target)) => match (authority(host), target) {
            (Some(host), Some(target)) => {
                let with_port = |(name, port): &(Name, Option<u16>)| (name.clone(), port.or(default_port(scheme)));
                with_port(&host) == with_port(&target) && is_allowed_host(&target, &hosts, is_local, any_host)
            }
            _ => false,
        },
        _ => false,
    };
    let is_fine_origin = match &origin_values[..] {
        [] => true,
        [one] => origin(one).is_some_and(|it| {
            let is_local_page = it
                .as_ref()
                .is_some_and(|(scheme, (name, _))| (scheme == "http" || scheme == "https") && name.is_loopback());
            any_origin || origins.contains(&it) || (is_local && is_local_page)
        }),
        _ => false,
    };
    assert_eq!(verdict.is_ok(), is_fine_host && is_fine_origin, "{verdict:?} {head:?}");
    if let Err(forbidden) = verdict {
        assert!(forbidden.status().is_client_error());
        assert!(forbidden.to_string().len() < 300, "{forbidden}");
        assert_eq!(forbidden.status() == 403, is_fine_host, "the host is judged first");
    }
}

fn is_allowed_host(asked: &(Name, Option<u16>), named: &[(Name, Option<u16>)], is_local: bool, any: bool) -> bool {
    let is_named = named.iter().any(|(name, port)| {
        *name == asked.0
            && match (port, asked.1) {
                (None, _) => true,
                (Some(port), None) => [80, 443].contains(port),
                (Some(port), Some(asked)) => *port == asked,
            }
    });
    any || is_named || if is_local { asked.0.is_loopback() } else { named.is_empty() }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Text(String),
    Four([u8; 4]),
    Six(Ipv6Addr),
}

impl Name {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Text(text) => text == "localhost",
            Self::Four(numbers) => numbers[0] == 127,
            Self::Six(address) => *address == Ipv6Addr::LOCALHOST,
        }
    }
}

/// A host and a port, sign by sign.
fn authority(text: &str) -> Option<(Name, Option<u16>)> {
    let mut name = String::new();
    let mut port = None::<String>;
    let mut is_in_brackets = false;
    let mut is_address = false;
    for (at, sign) in text.chars().enumerate() {
        match (sign, &mut port) {
            ('[', None) if at == 0 => (is_in_brackets, is_address) = (true, true),
            (']', None) if is_in_brackets => is_in_brackets = false,
            (':', None) if !is_in_brackets => port = Some(String::new()),
            (_, None) if is_address && !is_in_brackets => return None,
            (sign, None) => name.push(sign),
            (sign, Some(port)) if sign.is_ascii_digit() => port.push(sign),
            _ => return None,
        }
    }
    let port = match port {
        None => None,
        Some(digits) if digits.is_empty() => None,
        Some(digits) => Some(digits.trim_start_matches('0'))
            .map(|it| if it.is_empty() { "0" } else { it })
            .map(|it| it.parse::<u16>())
            .transpose()
            .ok()?,
    };
    if is_address {
        let address: Ipv6Addr = name.parse().ok().filter(|_| !is_in_brackets)?;
        let name = address.to_ipv4_mapped().map_or(Name::Six(address), |four| Name::Four(four.octets()));
        return Some((name, port));
    }
    let labels: Vec<&str> = name.split('.').collect();
    let number = |label: &&str| label.parse::<u8>().ok().filter(|number| number.to_string() == **label);
    if let (4, Some(numbers)) = (labels.len(), labels.iter().map(number).collect::<Option<Vec<u8>>>()) {
        return Some((Name::Four([numbers[0], numbers[1], numbers[2], numbers[3]]), port));
    }
    let is_sign = |sign: char| matches!(sign, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_');
    let is_name = name.len() <= 253 && labels.iter().all(|label| !label.is_empty() && label.chars().all(is_sign));
    is_name.then(|| (Name::Text(name.to_lowercase()), port))
}

fn default_port(scheme: &str) -> Option<u16> {
    [("http", 80), ("ws", 80), ("https", 443), ("wss", 443)]
        .iter()
        .find(|(name, _)| *name == scheme)
        .map(|(_, port)| *port)
}

/// Scheme, host and port of a page; none is `null`.
type Page = Option<(String, (Name, Option<u16>))>;

fn origin(text: &str) -> Option<Page> {
    if text == "null" {
        return Some(None);
    }
    let at = text.find(':')?;
    let scheme = text[..at].to_lowercase();
    let mut signs = text[..at].chars();
    let is_scheme = signs.next().is_some_and(|first| first.is_ascii_alphabetic())
        && signs.all(|sign| sign.is_ascii_alphanumeric() || ['+', '-', '.'].contains(&sign));
    let (name, port) = authority(text[at..].strip_prefix("://")?).filter(|_| is_scheme)?;
    let port = port.or(default_port(&scheme));
    Some(Some((scheme, (name, port))))
}
