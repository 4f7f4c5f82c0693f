//! Some of the items of a world, as people write them: `0,3-7,12`.

use std::fmt;
use std::str::FromStr;

/// Some of the items of a world, by their numbers, in order.
///
/// ```
/// use mcp_sim::Items;
///
/// let items: Items = "0,3-5,12".parse()?;
/// assert_eq!(items, Items::from_iter([0, 3, 4, 5, 12]));
/// assert_eq!(items.to_string(), "0,3-5,12");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items(Vec<usize>);

/// No world has more items than this; a longer range is a slip of the keyboard.
const MOST: usize = 100_000;

impl Items {
    /// Whether the item of this number is among them.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        self.0.binary_search(&number).is_ok()
    }
}

impl FromIterator<usize> for Items {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut numbers: Vec<usize> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }
}

impl FromStr for Items {
    type Err = String;

    /// # Errors
    ///
    /// When a part of it is neither a number nor two with a dash between, the first of which is not the larger.
    fn from_str(text: &str) -> Result<Self, String> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last && last < MOST).then_some(first..=last)
        };
        let ranges = text.split(',').map(|part| range(part).ok_or_else(|| format!("{part:?} names no items")));
        Ok(ranges.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, run) in self.0.chunk_by(|one, next| one + 1 == *next).enumerate() {
            let comma = if number > 0 { "," } else { "" };
            match run {
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [one] => write!(f, "{comma}{one}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for numbers in [vec![7], vec![0, 1], vec![1, 3, 5], vec![0, 1, 2, 9, 11, 12]] {
            let items = Items::from_iter(numbers.iter().copied());
            assert_eq!(items.to_string().parse(), Ok(items.clone()));
            assert!((0..20).all(|number| items.contains(number) == numbers.contains(&number)));
        }
        assert_eq!("3,1-2,2".parse(), Ok(Items::from_iter([1, 2, 3])));
    }

    #[test]
    fn what_names_no_items_is_refused() {
        for wrong in ["", "a", "1,", "3-1", "-1", "0-99999999999", "1 2"] {
            assert!(wrong.parse::<Items>().is_err(), "{wrong:?}");
        }
    }
}
