//! Reports as text and as images, optionally compared with another report.

use std::fmt::Write;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{BenchSettings, Machine, Measurement, Report, ale};
use crate::count::counted;

impl Report {
    /// Finds the same measurement in another report.
    fn like(&self, one: &Measurement) -> Option<&Measurement> {
        let key = |m: &Measurement| (m.what.clone(), m.name.clone(), m.unit.clone());
        self.measurements.iter().find(|other| key(other) == key(one))
    }

    /// Formats a table, with ratios to `before` if given.
    pub(crate) fn table(&self, before: Option<&Report>) -> String {
        let mut text = in_words(&self.machine, &self.settings);
        if let Some(before) = before {
            let _ = writeln!(
                text,
                "\nbeside\n{}",
                in_words(&before.machine, &before.settings).trim_end()
            );
        }
        let which = self.measurements.iter().map(|m| m.name.len()).max().unwrap_or(0).max(5);
        let _ = write!(
            text,
            "\n{:9}  {:which$}  {:>12}  {:>25}  {:12}  {:>13}",
            "what", "which", "per second", "from - to", "of", "agent steps/s"
        );
        text += if before.is_some() { "  ratio\n" } else { "\n" };
        for one in &self.measurements {
            let range = format!("{} - {}", grouped(one.low), grouped(one.high));
            let steps = one
                .frames_per_step
                .map_or_else(String::new, |frames| grouped(one.median / f64::from(frames)));
            let _ = write!(
                text,
                "{:9}  {:which$}  {:>12}  {range:>25}  {:12}  {steps:>13}",
                one.what,
                one.name,
                grouped(one.median),
                one.unit
            );
            let ratio = before.map(|before| match before.like(one) {
                Some(other) => format!("  {:.2}x", one.median / other.median),
                None => "  -".to_owned(),
            });
            text += ratio.as_deref().unwrap_or_default();
            text.push('\n');
            if one.name.starts_with(ale::NAME)
                && let Some(own) = self.measurements.iter().find(|own| own.what == one.what)
            {
                let ratio = own.median / one.median;
                let _ = writeln!(text, "{:9}  coinop is {ratio:.2} times as fast", "");
            }
            if let Some(training) = &one.training {
                let parts: Vec<String> = training
                    .parts
                    .iter()
                    .filter(|(_, share)| *share >= 0.0005)
                    .map(|(name, share)| format!("{name} {:.1} %", 100.0 * share))
                    .collect();
                if !parts.is_empty() {
                    let _ = writeln!(text, "{:9}  {}", "", parts.join(", "));
                }
                if let Some(floor) = training.floor {
                    let share = 100.0 * one.median / floor;
                    let _ = writeln!(
                        text,
                        "{:9}  floor {} frames/s; this is {share:.0} % of it",
                        "",
                        grouped(floor)
                    );
                }
            }
        }
        text
    }

    /// Draws bars, one per measurement, with a common scale per suite; next to those of `before` if given.
    pub(crate) fn picture(&self, before: Option<&Report>) -> Result<String, Box<dyn std::error::Error>> {
        const WIDTH: i32 = 900;
        const LEFT: i32 = 330;
        const RIGHT: i32 = 200;
        const ROW: i32 = 24;
        let height = ROW * (self.measurements.len() as i32 + 2);
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
            area.fill(&WHITE)?;
            let style = |anchor| ("sans-serif", 14).into_text_style(&area).pos(anchor);
            let right = style(Pos::new(HPos::Right, VPos::Center));
            let left = style(Pos::new(HPos::Left, VPos::Center));
            let Machine { processor, cores, .. } = &self.machine;
            let title = format!("{processor}, {}: {}", counted(*cores, "core"), self.settings.env);
            area.draw_text(&title, &left, (8, ROW / 2))?;
            for (i, one) in self.measurements.iter().enumerate() {
                let y = ROW * (i as i32 + 1) + ROW / 2;
                let other = before.and_then(|before| before.like(one));
                let same = |m: &&Measurement| m.what == one.what && m.unit == one.unit;
                let all = self
                    .measurements
                    .iter()
                    .chain(before.iter().flat_map(|b| &b.measurements));
                let most = all.filter(same).map(|m| m.median).fold(f64::MIN_POSITIVE, f64::max);
                let length = |m: &Measurement| (f64::from(WIDTH - LEFT - RIGHT) * m.median / most) as i32;
                area.draw_text(&format!("{}: {}", one.what, one.name), &right, (LEFT - 8, y))?;
                let bar = |m: &Measurement, from: i32, to: i32, color: RGBColor| {
                    Rectangle::new([(LEFT, y + from), (LEFT + length(m), y + to)], color.filled())
                };
                match other {
                    None => area.draw(&bar(one, -8, 8, RGBColor(31, 119, 180)))?,
                    Some(other) => {
                        area.draw(&bar(one, -8, 0, RGBColor(31, 119, 180)))?;
                        area.draw(&bar(other, 1, 8, RGBColor(200, 200, 200)))?;
                    }
                }
                let value = format!("{} {}/s", grouped(one.median), one.unit);
                area.draw_text(&value, &left, (LEFT + length(one).max(other.map_or(0, length)) + 6, y))?;
            }
            area.present()?;
        }
        Ok(svg)
    }
}

fn in_words(machine: &Machine, settings: &BenchSettings) -> String {
    let BenchSettings {
        env,
        algo,
        preset,
        env_threads,
        torch_threads,
        device,
        precision,
        seconds,
        repeats,
    } = settings;
    format!(
        "machine   {}, {}, {:.0} GB, {}; coinop {} ({}), libtorch {}\n\
         settings  {algo} on {env}, preset {preset}; {} for environments, libtorch has {torch_threads} ({device}, {precision}); median of \
         {repeats} times {seconds} s\n",
        machine.processor,
        counted(machine.cores, "core"),
        machine.memory_gigabytes,
        machine.system,
        machine.coinop,
        machine.commit,
        machine.libtorch,
        counted(*env_threads, "thread")
    )
}

/// Groups the digits of an integer by three; small numbers keep some decimals.
fn grouped(number: f64) -> String {
    if number.abs() < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Training;
    use super::*;

    fn report(rate: f64) -> Report {
        Report {
            machine: Machine {
                processor: "a processor".to_owned(),
                cores: 1,
                memory_gigabytes: 8.0,
                system: "a system".to_owned(),
                coinop: "0.1.0".to_owned(),
                commit: "abc".to_owned(),
                libtorch: "2.11".to_owned(),
            },
            settings: BenchSettings {
                env: "atari/pong".to_owned(),
                algo: "ppo".to_owned(),
                preset: "fast".to_owned(),
                env_threads: 1,
                torch_threads: 2,
                device: "cpu".to_owned(),
                precision: "float32".to_owned(),
                seconds: 1.0,
                repeats: 5,
            },
            measurements: vec![Measurement {
                what: "train".to_owned(),
                name: "ppo, preset fast".to_owned(),
                unit: "frames".to_owned(),
                median: rate,
                low: 0.5 * rate,
                high: 2.0 * rate,
                frames_per_step: Some(4),
                training: Some(Training {
                    parts: vec![("environments".to_owned(), 0.25), ("replay".to_owned(), 0.0)],
                    floor: Some(2.0 * rate),
                }),
            }],
        }
    }

    #[test]
    fn a_table_says_where_it_was_measured_and_how_that_compares() {
        let expected = "\
machine   a processor, 1 core, 8 GB, a system; coinop 0.1.0 (abc), libtorch 2.11
settings  ppo on atari/pong, preset fast; 1 thread for environments, libtorch has 2 (cpu, float32); median of 5 times 1 s

what       which               per second                  from - to  of            agent steps/s
train      ppo, preset fast        12,000             6,000 - 24,000  frames                3,000
           environments 25.0 %
           floor 24,000 frames/s; this is 50 % of it
";
        assert_eq!(report(12_000.0).table(None), expected);
        let compared = report(12_000.0).table(Some(&report(8_000.0)));
        assert!(
            compared.contains("agent steps/s  ratio\n") && compared.contains("3,000  1.50x\n"),
            "{compared}"
        );
        let mut other = report(8_000.0);
        other.measurements[0].name = "a3c, preset fast".to_owned();
        assert!(report(12_000.0).table(Some(&other)).contains("3,000  -\n"));
    }

    #[test]
    fn a_picture_has_a_bar_for_each_measurement() {
        let svg = report(12_000.0).picture(None).unwrap();
        assert!(svg.contains("train: ppo, preset fast") && svg.contains("12,000 frames/s"));
        let bars = |svg: &str| svg.matches("<rect").count();
        let both = report(12_000.0).picture(Some(&report(8_000.0))).unwrap();
        assert_eq!(bars(&both), bars(&svg) + 1);
    }

    #[test]
    fn numbers_are_grouped() {
        let numbers = [0.04, 99.94, 100.4, 999.6, 1_234_567.0];
        assert_eq!(numbers.map(grouped), ["0.0", "99.9", "100", "1,000", "1,234,567"]);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let report = report(12_000.0);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
