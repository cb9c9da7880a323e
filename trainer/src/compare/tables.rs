//! The tables of a comparison: rows are settings, columns parameterizations.

use super::{Record, Scale, Table, paired_p, summary};

/// Which learning rate a method is shown with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The row's own.
    SameRate,
    /// The one of those tried that gave it the best mean score.
    BestRate,
}

/// All records of a comparison.
#[derive(Debug)]
pub struct Results<'a> {
    records: &'a [Record],
    /// Rows in the order they were planned in.
    pub rows: Vec<String>,
    /// Short names of the parameterizations, in the order they were planned in.
    pub methods: Vec<&'static str>,
    /// Factors on the learning rate that were tried, ascending.
    pub factors: Vec<f64>,
}

impl<'a> Results<'a> {
    /// Of `records`, at least one.
    pub fn new(records: &'a [Record]) -> Self {
        let (mut rows, mut methods, mut factors): (Vec<String>, Vec<_>, Vec<f64>) = Default::default();
        for record in records {
            let trial = &record.trial;
            if !rows.contains(&trial.row) {
                rows.push(trial.row.clone());
            }
            if !methods.contains(&trial.method()) {
                methods.push(trial.method());
            }
            if !factors.contains(&trial.rate_factor) {
                factors.push(trial.rate_factor);
            }
        }
        factors.sort_by(f64::total_cmp);
        Self { records, rows, methods, factors }
    }

    /// What the errors are, the same for all.
    pub fn scale(&self) -> Scale {
        self.records.first().map_or(Scale::Logarithm, |r| r.scale)
    }

    /// What the scores are.
    pub fn unit(&self) -> &'static str {
        self.scale().unit()
    }

    /// Records of one row, method and rate, in the order of problem and seed.
    pub fn of(&self, row: &str, method: &str, factor: f64) -> Vec<&'a Record> {
        let fits = |r: &&Record| r.trial.row == row && r.trial.method() == method && r.trial.rate_factor == factor;
        let mut found: Vec<&Record> = self.records.iter().filter(fits).collect();
        found.sort_by_key(|r| (r.trial.problem.clone(), r.trial.training.seed));
        found
    }

    fn scores(&self, row: &str, method: &str, factor: f64) -> Vec<f64> {
        self.of(row, method, factor).iter().map(|r| r.score()).collect()
    }

    /// Score so that less is better.
    fn cost(&self, scores: &[f64]) -> f64 {
        let mean = summary(scores).mean;
        if self.scale().more_is_better() { -mean } else { mean }
    }

    /// The factor a method is shown with in a row.
    pub fn factor(&self, row: &str, method: &str, choice: Choice) -> f64 {
        if choice == Choice::SameRate && self.factors.contains(&1.0) {
            return 1.0;
        }
        let cost = |factor: &f64| self.cost(&self.scores(row, method, *factor));
        self.factors.iter().copied().min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(1.0)
    }

    /// Methods of a row, best first, with their scores.
    pub fn order(&self, row: &str, choice: Choice) -> Vec<(&'static str, Vec<f64>)> {
        let scores = |m: &'static str| (m, self.scores(row, m, self.factor(row, m, choice)));
        let mut all: Vec<_> = self.methods.iter().map(|m| scores(m)).filter(|(_, s)| !s.is_empty()).collect();
        all.sort_by(|a, b| self.cost(&a.1).total_cmp(&self.cost(&b.1)));
        all
    }

    /// Mean ± standard deviation of every method in every row, the winner in bold, with paired tests over problems and
    /// seeds.
    pub fn scores_table(&self, choice: Choice) -> Table {
        let both = |a: &str, b: &str| self.methods.contains(&a) && self.methods.contains(&b);
        let reference = both("rwf", "plain");
        let mut header: Vec<String> =
            std::iter::once("").chain(self.methods.iter().copied()).map(String::from).collect();
        header.extend(["winner", "p, winner and second"].map(String::from));
        if reference {
            header.push("p, rwf and plain".into());
        }
        let rows = self.rows.iter().map(|row| {
            let order = self.order(row, choice);
            let winner = order.first().map_or("", |(m, _)| m);
            let mut cells = vec![row.clone()];
            for method in &self.methods {
                let factor = self.factor(row, method, choice);
                let records = self.of(row, method, factor);
                let diverged = records.iter().filter(|r| r.diverged.is_some()).count();
                let mut cell = cell(&records.iter().map(|r| r.score()).collect::<Vec<_>>());
                if *method == winner {
                    cell = format!("**{cell}**");
                }
                if choice == Choice::BestRate && self.factors.len() > 1 {
                    cell += &format!(" (x{factor})");
                }
                if diverged > 0 {
                    cell += &format!(" [{diverged} diverged]");
                }
                cells.push(cell);
            }
            cells.push(winner.to_owned());
            cells.push(order.get(1).map_or("-".into(), |second| p(&order[0].1, &second.1)));
            if reference {
                let scores = |m| self.scores(row, m, self.factor(row, m, choice));
                cells.push(p(&scores("rwf"), &scores("plain")));
            }
            cells
        });
        Table { header, rows: rows.collect() }
    }

    /// Median milliseconds a step, and relative to plain weights where they ran too.
    pub fn times_table(&self) -> Table {
        let median = |row: &str, method: &str| -> f64 {
            let of = |f: &f64| self.of(row, method, *f);
            let mut ms: Vec<f64> = self.factors.iter().flat_map(of).map(|r| r.step_ms).collect();
            ms.sort_by(f64::total_cmp);
            ms.get(ms.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let header = std::iter::once("ms a step").chain(self.methods.iter().copied()).map(String::from).collect();
        let rows = self.rows.iter().map(|row| {
            let plain = median(row, "plain");
            let each = self.methods.iter().map(|method| {
                let ms = median(row, method);
                if plain.is_finite() { format!("{ms:.2} (x{:.2})", ms / plain) } else { format!("{ms:.2}") }
            });
            std::iter::once(row.clone()).chain(each).collect()
        });
        Table { header, rows: rows.collect() }
    }

    /// Each run in a line: what it was and what it came to, as CSV.
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "row,problem,parameterization,rate_factor,learning_rate,seed,steps,error,score,diverged_at,ms_per_step\n",
        );
        for r in self.records {
            let t = &r.trial;
            text += &format!(
                "{},{},{},{},{},{},{},{:e},{},{},{:.4}\n",
                t.row.replace(',', ";"),
                t.problem.replace(',', ";"),
                t.method(),
                t.rate_factor,
                t.training.learning_rate,
                t.training.seed,
                t.training.steps,
                r.error,
                format_args!("{:.4}", r.score()),
                r.diverged.map_or(String::new(), |d| d.to_string()),
                r.step_ms
            );
        }
        text
    }
}

fn cell(scores: &[f64]) -> String {
    if scores.is_empty() {
        return "-".into();
    }
    let s = summary(scores);
    if s.count == 1 { format!("{:.2}", s.mean) } else { format!("{:.2} ± {:.2}", s.mean, s.deviation) }
}

fn p(a: &[f64], b: &[f64]) -> String {
    match paired_p(a, b) {
        Some(p) if p < 1e-3 => format!("{p:.0e}"),
        Some(p) => format!("{p:.3}"),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{Observe, Trial},
        config,
        network::{ArchitectureKind, NetworkConfig, Parameterization},
        signal::SignalKind,
    };

    fn record(method: &str, factor: f64, seed: u64, error: f64) -> Record {
        let defaults = config::defaults(SignalKind::Table, 1, 10);
        let path = "[signal]\npath = 'a'\nkind = 'table'".parse().unwrap();
        let mut training = config::resolve::<config::SignalConfig>([defaults, path]).unwrap().training;
        training.seed = seed;
        let parameterization = Parameterization::named(method).unwrap();
        let network = NetworkConfig { parameterization, ..NetworkConfig::new(ArchitectureKind::Mlp, 4, 1) };
        let observe = Observe::default();
        let trial = Trial { row: "mlp".into(), problem: "p".into(), rate_factor: factor, network, training, observe };
        let (engine, curve) = (String::new(), Vec::new());
        Record {
            trial,
            engine,
            error,
            scale: Scale::Logarithm,
            diverged: None,
            step_ms: 2.0,
            curve,
            kernel: None,
            output: None,
        }
    }

    #[test]
    fn the_winner_is_bold_and_the_best_rate_is_each_methods_own() {
        let mut records = Vec::new();
        for seed in 0..3 {
            let noise = 10f64.powf(0.1 * seed as f64);
            records.push(record("plain", 1.0, seed, 1e-2 * noise));
            records.push(record("plain", 3.0, seed, 1e-5 * noise));
            records.push(record("rwf", 1.0, seed, 1e-3 * noise * noise));
            records.push(record("rwf", 3.0, seed, 1e-1 * noise));
        }
        let results = Results::new(&records);
        let same = results.scores_table(Choice::SameRate).rows.remove(0);
        assert_eq!(same[1..4], ["-1.90 ± 0.10", "**-2.80 ± 0.20**", "rwf"]);
        let best = results.scores_table(Choice::BestRate).rows.remove(0);
        assert_eq!(best[1..4], ["**-4.90 ± 0.10** (x3)", "-2.80 ± 0.20 (x1)", "plain"]);
        assert!(best[5].parse::<f64>().unwrap() < 0.01);
        assert_eq!(results.times_table().rows[0][2], "2.00 (x1.00)");
        assert_eq!(results.csv().lines().count(), 13);
    }
}
