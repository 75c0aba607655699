//! Values of points that are no numbers, as engines store them: a message of protobuf, which packs the many small
//! counts of buckets.

use prost::{Message, Oneof};

use crate::model::{Buckets, Distribution, Exponents, MetricValue, Quantiles};

/// What a point that is no number holds.
#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, optional, tag = "2")]
    sum: Option<f64>,
    #[prost(double, optional, tag = "3")]
    min: Option<f64>,
    #[prost(double, optional, tag = "4")]
    max: Option<f64>,
    #[prost(oneof = "Spread", tags = "5, 6, 7")]
    spread: Option<Spread>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Spread {
    #[prost(message, tag = "5")]
    Explicit(Explicit),
    #[prost(message, tag = "6")]
    Exponential(Exponential),
    /// Pairs, one after the other.
    #[prost(message, tag = "7")]
    Quantiles(Pairs),
}

#[derive(Clone, PartialEq, Message)]
struct Explicit {
    #[prost(double, repeated, tag = "1")]
    bounds: Vec<f64>,
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Exponential {
    #[prost(sint32, tag = "1")]
    scale: i32,
    #[prost(uint64, tag = "2")]
    zero_count: u64,
    #[prost(double, tag = "3")]
    zero_threshold: f64,
    #[prost(sint32, tag = "4")]
    positive_offset: i32,
    #[prost(uint64, repeated, tag = "5")]
    positive: Vec<u64>,
    #[prost(sint32, tag = "6")]
    negative_offset: i32,
    #[prost(uint64, repeated, tag = "7")]
    negative: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Pairs {
    #[prost(double, repeated, tag = "1")]
    values: Vec<f64>,
}

/// A number is written by itself, and so is nothing here.
pub(super) fn encode(value: &MetricValue) -> Vec<u8> {
    let stored = match value {
        MetricValue::Number(_) => return Vec::new(),
        MetricValue::Distribution(distribution) => Stored {
            count: distribution.count,
            sum: distribution.sum,
            min: distribution.min,
            max: distribution.max,
            spread: Some(spread(&distribution.buckets)),
        },
        MetricValue::Quantiles(quantiles) => Stored {
            count: quantiles.count,
            sum: Some(quantiles.sum),
            min: None,
            max: None,
            spread: Some(Spread::Quantiles(Pairs {
                values: quantiles.values.iter().flat_map(|(quantile, value)| [*quantile, *value]).collect(),
            })),
        },
    };
    stored.encode_to_vec()
}

fn spread(buckets: &Buckets) -> Spread {
    match buckets.clone() {
        Buckets::Explicit { bounds, counts } => Spread::Explicit(Explicit { bounds, counts }),
        Buckets::Exponential { scale, zero_count, zero_threshold, positive, negative } => {
            Spread::Exponential(Exponential {
                scale,
                zero_count,
                zero_threshold,
                positive_offset: positive.offset,
                positive: positive.counts,
                negative_offset: negative.offset,
                negative: negative.counts,
            })
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<MetricValue, iap_core::BoxError> {
    let stored = Stored::decode(bytes)?;
    let buckets = match stored.spread {
        None => return Err("a stored point has no content".into()),
        Some(Spread::Quantiles(pairs)) => {
            let values = pairs.values.as_chunks::<2>().0.iter().map(|[quantile, value]| (*quantile, *value));
            let (count, sum) = (stored.count, stored.sum.unwrap_or_default());
            return Ok(MetricValue::Quantiles(Quantiles { count, sum, values: values.collect() }));
        }
        Some(Spread::Explicit(Explicit { bounds, counts })) => Buckets::Explicit { bounds, counts },
        Some(Spread::Exponential(stored)) => Buckets::Exponential {
            scale: stored.scale,
            zero_count: stored.zero_count,
            zero_threshold: stored.zero_threshold,
            positive: Exponents { offset: stored.positive_offset, counts: stored.positive },
            negative: Exponents { offset: stored.negative_offset, counts: stored.negative },
        },
    };
    let Stored { count, sum, min, max, .. } = stored;
    Ok(MetricValue::Distribution(Distribution { count, sum, min, max, buckets }))
}
