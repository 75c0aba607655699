//! Benchmarks; see `benches/` for criterion's and `gateway.sh` for the comparison with other proxies.
//!
//! Machines differ and are noisy: read ratios within one run, not numbers across runs.
