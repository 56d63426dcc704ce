//! Reports of supervised devices: keys of the list that devices matched, without anything that tells one device from
//! another.
//!
//! | file | what it has |
//! | --- | --- |
//! | `log.rs` | the files that reports are added to |
//! | `counts.rs` | [`count`]: how often each key was reported, by day |
//! | `day.rs` | [`Day`]: a day of the calendar |
//! | `webhook.rs` | sending the counts of finished days |

mod counts;
mod day;
mod log;
mod webhook;

pub use counts::{CountError, CountOptions, DayCounts, KeyCount, count, to_csv};
pub use day::{Day, DayError};
pub(crate) use log::ReportLog;
pub(crate) use webhook::deliver;
