//! Amounts as operators write them: `30s`, `500ms`, `4MiB`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The schema keyword that tells what kind of amount a value is.
pub(crate) const KIND: &str = "x-kind";

/// Longest duration that may be written: a year. Longer ones would overflow clocks.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Largest size that may be written: 1 GiB, held in memory per message.
const LARGEST: usize = 1 << 30;

/// Units of time by their length in milliseconds, longest first.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of size by their length in bytes, largest first.
const SIZE_UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A duration such as `30s`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct TimeSpan(pub(crate) Duration);

/// A number of bytes such as `4MiB` or `4096`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Size(pub(crate) usize);

/// Splits `30s` into its number and its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

impl FromStr for TimeSpan {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a duration: a whole number and `ms`, `s`, `m` or `h`, such as `30s`";
        let (number, unit) = split(text).ok_or(EXPECTED)?;
        let (_, length) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or(EXPECTED)?;
        let span = number.checked_mul(*length).map(Duration::from_millis);
        span.filter(|span| *span <= LONGEST).map(Self).ok_or("a duration may be at most `8760h`")
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected a size: a whole number of bytes, or one with `KiB`, `MiB` or `GiB`, such as `4MiB`";
        let (number, unit) = split(text).ok_or(EXPECTED)?;
        let unit = if unit.is_empty() { "B" } else { unit };
        let (_, length) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(EXPECTED)?;
        let size = usize::try_from(number).ok().and_then(|number| number.checked_mul(*length));
        size.filter(|size| *size <= LARGEST).map(Self).ok_or("a size may be at most `1GiB`")
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let even = TIME_UNITS
            .iter()
            .find(|(_, length)| millis >= u128::from(*length) && millis.is_multiple_of(u128::from(*length)));
        match even {
            Some((unit, length)) => write!(f, "{}{unit}", millis / u128::from(*length)),
            None => f.write_str("0s"),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS
            .iter()
            .find(|(unit, length)| *unit != "B" && self.0 >= *length && self.0.is_multiple_of(*length))
        {
            Some((unit, length)) => write!(f, "{}{unit}", self.0 / length),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Gives an amount the serde and schema faces of its text.
macro_rules! as_text {
    ($amount:ident, $kind:literal, $types:tt, $pattern:literal) => {
        impl Serialize for $amount {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $amount {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $amount {
            fn schema_name() -> Cow<'static, str> {
                stringify!($amount).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $types, "pattern": $pattern, KIND: $kind })
            }
        }
    };
}

as_text!(TimeSpan, "duration", "string", "^[0-9]+ *(ms|s|m|h)$");
as_text!(Size, "size", ["string", "integer"], "^[0-9]+ *(B|KiB|MiB|GiB)?$");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_back_as_they_are_written() {
        for text in ["500ms", "1ms", "30s", "90s", "5m", "8760h", "0s"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<TimeSpan>().unwrap().to_string(), "1m");
        assert_eq!("0ms".parse::<TimeSpan>().unwrap().0, Duration::ZERO);
    }

    #[test]
    fn broken_durations_are_refused() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1 day",
            "8761h",
            "99999999999999999999h",
            "18446744073709551615h",
            "５s",
        ] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_back_as_they_are_written() {
        for text in ["0", "1", "1023", "1KiB", "64KiB", "4MiB", "1GiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("2048".parse::<Size>().unwrap().to_string(), "2KiB");
        assert_eq!("10 B".parse::<Size>().unwrap().0, 10);
    }

    #[test]
    fn broken_sizes_are_refused() {
        for text in ["", "4MB", "4mib", "-1", "1.5MiB", "2GiB", "18446744073709551615GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    /// An amount by the widest arithmetic; `None` for what is none.
    fn amount(number: &str, unit: &str, units: &[(&str, u128)]) -> Option<u128> {
        let (_, length) = units.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u128>().ok()?.checked_mul(*length)
    }

    proptest! {
        #[test]
        fn amounts_are_exact_or_refused(
            number in "[0-9]{0,22}",
            blank in " {0,2}",
            unit in prop_oneof![
                Just("ms"), Just("s"), Just("m"), Just("h"), Just("d"), Just(""), Just("B"), Just("KiB"), Just("MiB"), Just("GiB"),
            ],
        ) {
            let text = format!("{number}{blank}{unit}");
            let time = amount(&number, unit, &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]);
            let time = time.filter(|time| *time <= LONGEST.as_millis());
            prop_assert_eq!(text.parse::<TimeSpan>().ok().map(|span| span.0.as_millis()), time, "{}", text);
            let size = amount(&number, unit, &[("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]);
            let size = size.filter(|size| (1..=1 << 30).contains(size));
            prop_assert_eq!(text.parse::<Size>().ok().map(|size| size.0 as u128), size, "{}", text);
        }

        #[test]
        fn amounts_read_back_as_they_are_shown(millis in 0u64..=365 * 24 * 3_600_000, size in 1usize..=1 << 30, shift in 0u32..30) {
            for millis in [millis, millis / 1000 * 1000, millis / 3_600_000 * 3_600_000] {
                let span = TimeSpan(Duration::from_millis(millis));
                prop_assert_eq!(span.to_string().parse::<TimeSpan>(), Ok(span));
            }
            let size = Size(((size >> shift) << shift).max(1));
            prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,12}") {
            let _ = (text.parse::<TimeSpan>(), text.parse::<Size>());
        }
    }
}
