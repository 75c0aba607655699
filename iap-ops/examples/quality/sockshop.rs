//! Sock Shop: which metric.

use std::collections::BTreeMap;
use std::path::Path;

use iap_ops::cause::ranking::{Column, MetricUnit, change_point, rank};

use super::{Places, entries, name, rows};

pub(crate) fn run(directory: &Path) -> Option<()> {
    let mut by_fault: BTreeMap<String, Places> = BTreeMap::new();
    let mut all = Places::default();
    let mut distances = Vec::new();
    for fault in entries(directory)? {
        let Some((service, kind)) = name(&fault).rsplit_once('-').map(|(a, b)| (a.to_owned(), b.to_owned()))
        else {
            continue;
        };
        for case in entries(&fault)? {
            let Some((columns, begin)) = read(&case) else { continue };
            let Some(change) = change_point(&columns) else { continue };
            let ranked = rank(&columns, change);
            let right = format!("{service}_{kind}");
            let place = ranked.iter().position(|ranked| ranked.name == right);
            distances.push(change.abs_diff(begin));
            if place != Some(0) {
                let first: Vec<_> = ranked
                    .iter()
                    .take(3)
                    .map(|ranked| format!("{} {:.1}", ranked.name, ranked.score))
                    .collect();
                println!(
                    "{right} case {}: place {place:?}, change at {change} of {begin}: {first:?}",
                    name(&case)
                );
            }
            by_fault.entry(kind.clone()).or_default().add(place);
            all.add(place);
        }
    }
    distances.sort_unstable();
    println!("| fault | cases | AC@1 | AC@3 | Avg@5 |\n|---|---|---|---|---|");
    for (kind, places) in by_fault.iter().map(|(kind, places)| (kind.as_str(), places)).chain([("all", &all)])
    {
        let (one, three, mean) = (places.within(1), places.within(3), places.mean(5));
        println!("| {kind} | {} | {one:.3} | {three:.3} | {mean:.3} |", places.cases());
    }
    let at = |part: usize| distances.get((distances.len() - 1) * part / 100).copied();
    println!(
        "change point found within {:?} steps in half, {:?} in nine of ten, {:?} in all",
        at(50)?,
        at(90)?,
        at(100)?
    );
    Some(())
}

/// The columns, and where the second file begins.
fn read(case: &Path) -> Option<(Vec<Column>, usize)> {
    let (normal, anomalous) = (rows(&case.join("normal.csv"))?, rows(&case.join("anomalous.csv"))?);
    let begin = normal.len() - 1;
    let mut columns = Vec::new();
    for (at, name) in normal[0].iter().enumerate() {
        let unit = match name.rsplit_once('_') {
            Some((_, "cpu")) => MetricUnit::Percent,
            Some((_, "mem")) => MetricUnit::Bytes,
            _ => continue,
        };
        let there = anomalous[0].iter().position(|other| other == name)?;
        let value =
            |row: &Vec<String>, at: usize| row.get(at).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let first = normal[1..].iter().map(|row| value(row, at));
        let values = first.chain(anomalous[1..].iter().map(|row| value(row, there))).collect();
        let component = name.rsplit_once('_').map(|(component, _)| component.to_owned())?;
        columns.push(Column { name: name.clone(), component, unit, values });
    }
    Some((columns, begin))
}
