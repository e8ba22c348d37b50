//! The data folder of a hub: the options that name it, and how sizes and spans are written.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use halloo_std::hub::Data;
use halloo_std::journal::Retention;

use super::config::File;

/// Where posts are kept, and for how long.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Data folder")]
pub(crate) struct DataArgs {
    /// Keep all posts in this folder, so that they outlive the hub; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What an acknowledged post survives: `disk` is the end of the hub and of its power, `memory`
    /// a lost connection alone [default: disk with --data, memory without]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "disk|memory"
    )]
    pub(crate) durability: Option<Durability>,
    /// Keep at least so many of each room's latest posts [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) keep_posts: Option<u64>,
    /// Keep at least so many bytes of each room's latest posts, such as 64M [default: all]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) keep_bytes: Option<u64>,
    /// Keep posts at least so long, such as 30d, 12h, 90m or 45s [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) keep_for: Option<Duration>,
    /// How large the folder's files get; posts beyond the limits go a file at a time
    /// [default: 64M]
    #[arg(long, value_name = "BYTES", value_parser = segment_bytes)]
    pub(crate) segment_bytes: Option<u64>,
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    Disk,
    Memory,
}

impl DataArgs {
    /// These, and what the file says where they say nothing.
    pub(crate) fn or(&self, file: &File) -> Self {
        Self {
            data: self.data.clone().or_else(|| file.data.clone()),
            durability: self.durability.or(file.durability),
            keep_posts: self.keep_posts.or(file.keep_posts),
            keep_bytes: self.keep_bytes.or(file.keep_bytes),
            keep_for: self.keep_for.or(file.keep_for),
            segment_bytes: self.segment_bytes.or(file.segment_bytes),
        }
    }

    /// The folder that was asked for, if one was; else the key that is wrong, and why.
    pub(crate) fn data(&self) -> Result<Option<Data>, (&'static str, String)> {
        let durability = |text: &str| Err(("durability", text.into()));
        let folder = match (&self.data, self.durability) {
            (Some(folder), Some(Durability::Disk) | None) => folder,
            (None, Some(Durability::Memory) | None) => {
                return match self.without_folder() {
                    Some(key) => Err((
                        key,
                        format!("--{key} needs a folder: name one with --data DIR"),
                    )),
                    None => Ok(None),
                };
            }
            (None, Some(Durability::Disk)) => {
                return durability("--durability disk needs a folder: name one with --data DIR");
            }
            (Some(_), Some(Durability::Memory)) => {
                return durability(
                    "--durability memory keeps nothing in a folder: leave it out, or --data",
                );
            }
        };
        let usual = Data::new(folder);
        Ok(Some(Data {
            retention: Retention {
                entries: self.keep_posts,
                bytes: self.keep_bytes,
                age: self.keep_for,
            },
            segment_bytes: self.segment_bytes.unwrap_or(usual.segment_bytes),
            ..usual
        }))
    }
}

impl DataArgs {
    /// The key of an option that says something about a folder.
    const fn without_folder(&self) -> Option<&'static str> {
        if self.keep_posts.is_some() {
            Some("keep-posts")
        } else if self.keep_bytes.is_some() {
            Some("keep-bytes")
        } else if self.keep_for.is_some() {
            Some("keep-for")
        } else if self.segment_bytes.is_some() {
            Some("segment-bytes")
        } else {
            None
        }
    }
}

/// A number with one of the units, or without.
fn scaled(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let (number, factor) = match text.chars().next_back() {
        Some(last) if !last.is_ascii_digit() => {
            let unit = units.iter().find(|(unit, _)| *unit == last)?;
            (text.strip_suffix(last)?, unit.1)
        }
        _ => (text, 1),
    };
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}

pub(crate) fn bytes(text: &str) -> Result<u64, &'static str> {
    let units = [
        ('K', 1 << 10),
        ('M', 1 << 20),
        ('G', 1 << 30),
        ('T', 1 << 40),
    ];
    scaled(text, &units).ok_or("a good size is 1000, 64K, 64M, 2G or 1T")
}

/// Positions in a segment are kept in 32 bits.
pub(crate) fn segment_bytes(text: &str) -> Result<u64, &'static str> {
    let bytes = bytes(text)?;
    if (64 << 10..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("it is from 64K to 1G")
    }
}

pub(crate) fn time(text: &str) -> Result<Duration, &'static str> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let has_unit = text.ends_with(|last: char| !last.is_ascii_digit());
    let seconds = scaled(text, &units).filter(|_| has_unit);
    let seconds = seconds.ok_or("a good time is 30d, 12h, 90m or 45s")?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_their_units_and_nothing_else_is() {
        for (text, expected) in [("0", 0), ("1000", 1000), ("64K", 65_536), ("2G", 2 << 30)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("45s", 45),
            ("90m", 5400),
            ("12h", 43_200),
            ("30d", 2_592_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for text in [
            "",
            "K",
            "-1",
            "+1",
            "1 K",
            "1KK",
            "1.5G",
            "64k",
            "99999999999T",
            "1é",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for text in ["", "s", "30", "1w", "-1s", "1h30m", "99999999999999999d"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(segment_bytes("64K"), Ok(65_536));
        assert!(segment_bytes("63K").is_err() && segment_bytes("2G").is_err());
    }
}
