//! The guard of whoever follows a list page by page: a server's pages must end, also if the server means ill.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Follows a list from page to page (specification: server/utilities/pagination).
///
/// A cursor is opaque, and an empty one is a cursor like any other; only its absence (or null) ends the list. A cursor that
/// came before, too many pages, and cursors that are a burden to keep end it with a [`PageFault`].
///
/// ```
/// use mcp_proto::{Pages, Turn};
///
/// let mut pages = Pages::new();
/// let mut next = Some("second".to_owned()); // as the server said on the first page
/// assert_eq!(pages.cursor(), None);
/// while pages.turn(next.take())? == Turn::More {
///     assert_eq!(pages.cursor(), Some("second"));
/// }
/// assert_eq!(pages.read(), 2);
/// # Ok::<(), mcp_proto::PageFault>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pages {
    /// The cursors that came so far; the last of them leads to the page to ask for.
    seen: Vec<String>,
    bytes: usize,
    read: usize,
    most: usize,
}

/// What comes after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Another page, under [`Pages::cursor`].
    More,
    /// Nothing: that was the last.
    Last,
}

/// How a list does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageFault {
    /// A page led back to an earlier one.
    Repeated {
        /// How many pages were read.
        read: usize,
    },
    /// There were more pages than are followed.
    TooMany {
        /// How many pages were read.
        read: usize,
    },
    /// The cursors together are longer than [`Pages::LONGEST`].
    TooLong {
        /// How many pages were read.
        read: usize,
    },
}

impl Pages {
    /// How many pages are followed unless it is said otherwise.
    pub const MOST: usize = 64;
    /// How long all cursors of a list may be together, in bytes, since each is kept to be compared.
    pub const LONGEST: usize = 1 << 20;

    /// Before the first page, of [`MOST`](Self::MOST) at most.
    #[must_use]
    pub fn new() -> Self {
        Self::up_to(Self::MOST)
    }

    /// Before the first page, of `most` at most; one is always read.
    #[must_use]
    pub fn up_to(most: usize) -> Self {
        Self { seen: Vec::new(), bytes: 0, read: 0, most }
    }

    /// The page to ask for now: the first, if there is no cursor.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.seen.last().map(String::as_str)
    }

    /// How many pages were read.
    #[must_use]
    pub fn read(&self) -> usize {
        self.read
    }

    /// Notes that a page was read, and where it leads: its `nextCursor`.
    ///
    /// # Errors
    ///
    /// When the list does not end. What was read until then is as good as it was.
    pub fn turn(&mut self, next: Option<String>) -> Result<Turn, PageFault> {
        self.read += 1;
        let read = self.read;
        let Some(next) = next else { return Ok(Turn::Last) };
        if self.seen.contains(&next) {
            return Err(PageFault::Repeated { read });
        }
        if read >= self.most {
            return Err(PageFault::TooMany { read });
        }
        self.bytes = self.bytes.saturating_add(next.len());
        if self.bytes > Self::LONGEST {
            return Err(PageFault::TooLong { read });
        }
        self.seen.push(next);
        Ok(Turn::More)
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated { read } => write!(f, "page {read} leads back to an earlier one"),
            Self::TooMany { read } => write!(f, "there are more than the {read} pages that are followed at most"),
            Self::TooLong { read } => write!(f, "the cursors of {read} pages are longer than {} bytes", Pages::LONGEST),
        }
    }
}

impl core::error::Error for PageFault {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn cursor(text: &str) -> Option<String> {
        Some(text.into())
    }

    /// server/utilities/pagination: a missing cursor is the end, and clients MUST treat cursors as opaque: an empty one is one.
    #[test]
    fn only_an_absent_cursor_ends_the_list() {
        let mut pages = Pages::new();
        for (asked, next, turn) in
            [(None, cursor(""), Turn::More), (Some(""), cursor("0"), Turn::More), (Some("0"), None, Turn::Last)]
        {
            assert_eq!(pages.cursor(), asked);
            assert_eq!(pages.turn(next), Ok(turn));
        }
        assert_eq!(pages.read(), 3);
    }

    #[test]
    fn a_repeated_cursor_ends_the_list_whatever_the_length_of_the_loop() {
        for length in 1..10 {
            let mut pages = Pages::new();
            for n in 0..length {
                assert_eq!(pages.turn(Some(n.to_string())), Ok(Turn::More));
            }
            assert_eq!(pages.turn(cursor("0")), Err(PageFault::Repeated { read: length + 1 }));
        }
        let mut pages = Pages::new();
        assert_eq!(pages.turn(cursor("")), Ok(Turn::More));
        assert_eq!(pages.turn(cursor("")), Err(PageFault::Repeated { read: 2 }));
    }

    #[test]
    fn as_many_pages_are_followed_as_allowed_and_no_more() {
        for (most, allowed) in [(0, 1), (1, 1), (2, 2), (Pages::MOST, Pages::MOST)] {
            let mut pages = Pages::up_to(most);
            for n in 1..allowed {
                assert_eq!(pages.turn(Some(n.to_string())), Ok(Turn::More));
            }
            // The last one allowed may be the last of all.
            assert_eq!(pages.clone().turn(None), Ok(Turn::Last));
            assert_eq!(pages.turn(cursor("more")), Err(PageFault::TooMany { read: allowed }));
        }
    }

    #[test]
    fn cursors_are_kept_up_to_a_bound() {
        let mut pages = Pages::new();
        assert_eq!(pages.turn(Some("a".repeat(Pages::LONGEST))), Ok(Turn::More));
        assert_eq!(pages.turn(cursor("b")), Err(PageFault::TooLong { read: 2 }));
    }
}
