//! `Retry-After`: when a server wants to be asked again, as seconds or as a date (RFC 9110, 10.2.3).

use core::time::Duration;

use http::{HeaderMap, header};

use crate::Timestamp;

/// How long to wait from `now` on; `None` if the header is not there or cannot be read.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is for ever.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let seconds = date(value)?;
    Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000)).saturating_since(now))
}

/// Seconds since the Unix epoch of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may be sent.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = number(parts.next()?, 2)?;
    let month = parts.next().and_then(|name| MONTHS.iter().position(|month| *month == name))? as u64 + 1;
    let year: u64 = number(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':');
    let (hour, minute, second) = (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    let is_whole = parts.next() == Some("GMT") && parts.next().is_none() && time.next().is_none();
    if !is_whole || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 || year < 1970 {
        return None;
    }
    // Days since 1970-03-01 with years that begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(DAYS_BEFORE_1970)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// By the same count.
const DAYS_BEFORE_1970: u64 = 1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400 + (10 * 153 + 2) / 5;

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str, now: u64) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, Timestamp::from_nanos(now * 1_000_000_000))
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(wait("0", 5), Some(Duration::ZERO));
        assert_eq!(wait("120", 5), Some(Duration::from_secs(120)));
        assert_eq!(wait("99999999999999999999999", 5), Some(Duration::MAX));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_800), Some(Duration::ZERO));
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:01 GMT", 0), Some(Duration::from_secs(1)));
        assert_eq!(wait("Tue, 29 Feb 2028 00:00:00 GMT", 1_835_395_199), Some(Duration::from_secs(1)));
    }

    #[test]
    fn anything_else_is_no_time() {
        for value in [
            "",
            "-1",
            "1.5",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "x, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(wait(value, 0), None, "{value:?}");
        }
    }
}
