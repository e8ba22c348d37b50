//! Tables of plain text, and medians.

/// A table that is printed once it is whole.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            rows: vec![columns.iter().map(|&column| column.into()).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As Markdown that reads well as it is: names to the left, numbers to the right.
    pub(crate) fn print(&self) {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let widths = self.rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        println!("\n{}\n", self.title);
        for (nth, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = (0..columns)
                .map(|column| match column {
                    0 => format!("{:<width$}", row[column], width = width(column)),
                    _ => format!("{:>width$}", row[column], width = width(column)),
                })
                .collect();
            println!("| {} |", cells.join(" | "));
            if nth == 0 {
                let rules: Vec<String> = (0..columns)
                    .map(|column| match column {
                        0 => "-".repeat(width(column)),
                        _ => format!("{}:", "-".repeat(width(column).max(2) - 1)),
                    })
                    .collect();
                println!("| {} |", rules.join(" | "));
            }
        }
    }
}

pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A rate with three digits that matter.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e7 => format!("{:.1} M", r / 1e6),
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e3 => format!("{:.0} k", r / 1e3),
        r => format!("{r:.0}"),
    }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.1}", bytes / (1024.0 * 1024.0))
}

pub(crate) fn kibibytes(bytes: f64) -> String {
    format!("{:.2}", bytes / 1024.0)
}

pub(crate) fn micros(nanos: f64) -> String {
    match nanos / 1000.0 {
        micros if micros >= 100.0 => format!("{micros:.0}"),
        micros => format!("{micros:.1}"),
    }
}

pub(crate) fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 100.0 => format!("{ratio:.0}"),
        ratio if ratio >= 10.0 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.2}"),
    }
}
