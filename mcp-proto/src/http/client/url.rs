//! URLs as far as a client has to judge them: what is a server's, what is the same origin, and where a reference leads.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use http::Uri;
use http::uri::Scheme;

use super::config::UrlFault;

/// The URL of a server.
pub(super) fn parse(url: &str) -> Result<Uri, UrlFault> {
    let uri = url.parse::<Uri>().map_err(|error| UrlFault::Unreadable(error.to_string()))?;
    if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(UrlFault::OtherScheme);
    }
    let authority = uri.authority().ok_or(UrlFault::NoHost)?;
    if authority.as_str().contains('@') {
        return Err(UrlFault::Credentials);
    }
    let host = authority.host();
    if host.is_empty() {
        return Err(UrlFault::NoHost);
    }
    // One that cannot be read must not become the default.
    let port = authority.as_str().get(host.len()..).unwrap_or_default();
    if !matches!(port, "" | ":") && authority.port_u16().is_none() {
        return Err(UrlFault::Unreadable(alloc::format!("{port:?} is no port")));
    }
    Ok(uri)
}

/// Whether two URLs are of one origin: the same scheme, host and port.
pub(super) fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

fn port(uri: &Uri) -> Option<u16> {
    let of_scheme = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    uri.port_u16().or(Some(of_scheme))
}

/// Where a reference leads from `base`, which is a whole URL (RFC 3986, 5.2); `None` if nowhere that HTTP reaches.
pub(super) fn resolve(base: &Uri, reference: &str) -> Option<Uri> {
    let reference = reference.trim();
    // Browsers and some libraries read these as slashes, and would so be led to another host than we think.
    if reference.contains(['\\', '\t', '\n', '\r']) {
        return None;
    }
    let reference = reference.split('#').next().unwrap_or_default();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?.as_str());
    let target = if has_scheme(reference) {
        String::from(reference)
    } else if reference.starts_with("//") {
        alloc::format!("{scheme}:{reference}")
    } else {
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let query = if path.is_empty() { query.or(base.query()) } else { query };
        let path = match path {
            "" => String::from(base.path()),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let folder = base.path().rfind('/').map_or("/", |end| &base.path()[..=end]);
                without_dots(&alloc::format!("{folder}{path}"))
            }
        };
        let query = query.map(|query| alloc::format!("?{query}")).unwrap_or_default();
        alloc::format!("{scheme}://{authority}{path}{query}")
    };
    parse(&target).ok()
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '+' | '-' | '.'))
}

/// A path without its segments `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." if is_last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    alloc::format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_http_without_credentials_are_servers() {
        for good in ["http://localhost", "https://example.com/mcp?x=1", "http://[::1]:8080/mcp", "http://127.0.0.1:1/"]
        {
            parse(good).unwrap();
        }
        for (bad, fault) in [
            ("ftp://localhost/", UrlFault::OtherScheme),
            ("localhost:80", UrlFault::OtherScheme),
            ("/mcp", UrlFault::OtherScheme),
            ("http://me@localhost/", UrlFault::Credentials),
            ("http://me:secret@localhost/", UrlFault::Credentials),
        ] {
            assert_eq!(parse(bad), Err(fault), "{bad}");
        }
        for bad in ["", "http://", "http:///mcp", "http://a b/", "http://localhost:99999/"] {
            parse(bad).unwrap_err();
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one: &str, other: &str| is_same_origin(&parse(one).unwrap(), &parse(other).unwrap());
        assert!(same("http://a/x", "http://A:80/y?z"));
        assert!(same("https://a/", "https://a:443/"));
        assert!(!same("http://a/", "https://a/"));
        assert!(!same("http://a/", "http://b/"));
        assert!(!same("http://a/", "http://a:8080/"));
        assert!(!same("http://localhost/", "http://127.0.0.1/"));
        assert!(!same("http://a/", "http://a.evil/"));
    }

    #[test]
    fn references_lead_where_rfc_3986_says() {
        let base = parse("http://a:1/b/c/d?q").unwrap();
        for (reference, target) in [
            ("g", "http://a:1/b/c/g"),
            ("./g", "http://a:1/b/c/g"),
            ("g/", "http://a:1/b/c/g/"),
            ("/g", "http://a:1/g"),
            ("/g?sessionId=1", "http://a:1/g?sessionId=1"),
            ("?y", "http://a:1/b/c/d?y"),
            ("", "http://a:1/b/c/d?q"),
            ("g#s", "http://a:1/b/c/g"),
            ("..", "http://a:1/b/"),
            ("../g", "http://a:1/b/g"),
            ("../../../g", "http://a:1/g"),
            ("/./g", "http://a:1/g"),
            ("//g", "http://g/"),
            ("https://h/i", "https://h/i"),
        ] {
            assert_eq!(resolve(&base, reference), Some(parse(target).unwrap()), "{reference}");
        }
        for nowhere in ["javascript:alert(1)", "ftp://a/", "http:g", "/\\evil", "http://u@a:1/", "a b"] {
            assert_eq!(resolve(&base, nowhere), None, "{nowhere}");
        }
    }
}
