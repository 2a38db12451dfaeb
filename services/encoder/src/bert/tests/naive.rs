//! BERT as in a textbook: one sequence at a time, one number after the other, in f64.

use super::tiny::{HEADS, HIDDEN, LAYERS, TinyBert};
use crate::Pooling;

type Rows = Vec<Vec<f64>>;

/// The vector of a sequence.
pub(super) fn encode(tiny: &TinyBert, ids: &[u32]) -> Vec<f64> {
    let row = |name: &str, row: usize| -> Vec<f64> {
        tiny.tensor(name)[row * HIDDEN..][..HIDDEN]
            .iter()
            .copied()
            .map(f64::from)
            .collect()
    };
    let mut x: Rows = (0..)
        .zip(ids)
        .map(|(position, id)| {
            let rows = [
                row("embeddings.word_embeddings.weight", *id as usize),
                row("embeddings.position_embeddings.weight", position),
                row("embeddings.token_type_embeddings.weight", 0),
            ];
            (0..HIDDEN)
                .map(|column| rows.iter().map(|row| row[column]).sum())
                .collect()
        })
        .collect();
    x = norm(tiny, "embeddings.LayerNorm", &x);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let attended = attend(
            &linear(tiny, &name("attention.self.query"), &x),
            &linear(tiny, &name("attention.self.key"), &x),
            &linear(tiny, &name("attention.self.value"), &x),
        );
        let output = linear(tiny, &name("attention.output.dense"), &attended);
        let y = norm(tiny, &name("attention.output.LayerNorm"), &add(&output, &x));
        let mut inner = linear(tiny, &name("intermediate.dense"), &y);
        for value in inner.iter_mut().flatten() {
            *value *= 0.5 * (1.0 + erf(*value / std::f64::consts::SQRT_2));
        }
        let down = linear(tiny, &name("output.dense"), &inner);
        x = norm(tiny, &name("output.LayerNorm"), &add(&down, &y));
    }
    let pooled: Vec<f64> = match tiny.pooling {
        Pooling::Mean => (0..HIDDEN)
            .map(|column| x.iter().map(|row| row[column]).sum())
            .collect(),
        Pooling::Cls => x[0].clone(),
    };
    let length = pooled.iter().map(|value| value * value).sum::<f64>().sqrt();
    pooled.into_iter().map(|value| value / length).collect()
}

fn linear(tiny: &TinyBert, name: &str, x: &Rows) -> Rows {
    let weights = tiny.tensor(&format!("{name}.weight"));
    let bias = tiny.tensor(&format!("{name}.bias"));
    let of_row = |row: &Vec<f64>| {
        let weights = weights.chunks(row.len()).zip(bias);
        weights
            .map(|(weights, bias)| dot(weights.iter().copied().map(f64::from), row) + f64::from(*bias))
            .collect()
    };
    x.iter().map(of_row).collect()
}

fn attend(queries: &Rows, keys: &Rows, values: &Rows) -> Rows {
    let width = HIDDEN / HEADS;
    let mut out = vec![vec![0.0; HIDDEN]; queries.len()];
    for head in 0..HEADS {
        let columns = head * width..(head + 1) * width;
        for (query, out) in queries.iter().zip(&mut out) {
            let score = |key: &Vec<f64>| {
                dot(query[columns.clone()].iter().copied(), &key[columns.clone()]) / (width as f64).sqrt()
            };
            let powers: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
            let sum: f64 = powers.iter().sum();
            for column in columns.clone() {
                out[column] = powers
                    .iter()
                    .zip(values)
                    .map(|(power, value)| power / sum * value[column])
                    .sum();
            }
        }
    }
    out
}

fn norm(tiny: &TinyBert, name: &str, x: &Rows) -> Rows {
    let gain = tiny.tensor(&format!("{name}.weight"));
    let shift = tiny.tensor(&format!("{name}.bias"));
    let of_row = |row: &Vec<f64>| {
        let mean = row.iter().sum::<f64>() / HIDDEN as f64;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / HIDDEN as f64;
        let scaled = row.iter().map(|value| (value - mean) / (variance + 1e-12).sqrt());
        scaled
            .zip(gain.iter().zip(shift))
            .map(|(value, (gain, shift))| value * f64::from(*gain) + f64::from(*shift))
            .collect()
    };
    x.iter().map(of_row).collect()
}

fn add(a: &Rows, b: &Rows) -> Rows {
    let sum = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    a.iter().zip(b).map(sum).collect()
}

fn dot(a: impl Iterator<Item = f64>, b: &[f64]) -> f64 {
    a.zip(b).map(|(a, b)| a * b).sum()
}

/// The error function by its Maclaurin series: exact enough where |x| is below 5, and 1 beyond.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}
