//! How work is measured: next to a reference, and at half of its throughput.

mod compare;
mod half;
mod writes;

pub(crate) use compare::{
    CREATED, Expected, Measured, OK, compare, compare_with, median, median_ratio, micros, neighbours, per_answer,
    reference_run, requests, slice_of,
};
pub(crate) use half::{Half, at_half};
pub(crate) use writes::{Writes, add_better, requests_per_slice};
