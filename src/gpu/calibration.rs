//! [`Calibration`]: which shader variant, and which sizes of it, an adapter is fastest with.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::adapter::AdapterDescription;
use super::device::{Gpu, room};
use super::probe::{self, Known};
use super::shader::ShaderVariant;
use super::tuning::{Tuning, Tunings};
use crate::{Error, Result};

/// First line of a calibration that is saved; the number is that of the format.
const HEADER: &str = "maxfold calibration 2";

/// A measurement takes so long at least, so that what a dispatch costs in itself doesn't matter.
const LONG_ENOUGH: Duration = Duration::from_millis(2);

/// Candidates of a measurement at most: 300 MB.
const MOST_CANDIDATES: usize = 4_096;

/// The least of so many measurements counts.
const REPEATS: usize = 5;

/// Measurements of an adapter: its shader variants, the fastest first, each with the sizes of tiles
/// and workgroups that suit it best.
///
/// It is text, to be kept from one start of a program to the next:
///
/// ```no_run
/// use maxfold::gpu::{Calibration, GpuContext, GpuOptions};
///
/// let calibration = GpuContext::new()?.calibrate()?;
/// std::fs::write("calibration.txt", calibration.to_string()).unwrap();
///
/// let text = std::fs::read_to_string("calibration.txt").unwrap();
/// let options = GpuOptions::default().calibration(text.parse::<Calibration>()?);
/// let gpu = GpuContext::with_options(&options)?;
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    adapter: String,
    driver: String,
    variants: Vec<(ShaderVariant, Tunings)>,
}

impl Calibration {
    /// The adapter that was measured, as its driver names it.
    pub fn adapter(&self) -> &str {
        &self.adapter
    }

    /// The variants that were right, the fastest first.
    pub fn variants(&self) -> Vec<ShaderVariant> {
        self.variants.iter().map(|(variant, _)| *variant).collect()
    }

    /// Returns `true` if it is about this adapter, with the driver it has now.
    pub(super) fn is_of(&self, adapter: &AdapterDescription) -> bool {
        (&self.adapter, &self.driver) == (&line(&adapter.name), &line(&adapter.driver))
    }

    /// Variants and sizes to try, in order.
    pub(super) fn preferred(&self) -> &[(ShaderVariant, Tunings)] {
        &self.variants
    }
}

impl Calibration {
    /// Measures the variants of an adapter.
    ///
    /// # Errors
    /// No variant is right; the device is lost or out of memory.
    pub(super) fn measure(gpu: &Gpu, adapter: &AdapterDescription) -> Result<Self> {
        let (short, long) = (Known::short_query()?, Known::long_query()?);
        let mut bench = Bench { gpu, short, long, candidates: None };
        let mut measured = Vec::new();
        let mut refused = None;
        for &variant in &adapter.variants {
            match bench.variant(variant) {
                Ok((tunings, cost)) => measured.push((cost, (variant, tunings))),
                Err(error) => {
                    log::warn!("{}: {variant} is not calibrated: {error}", adapter);
                    refused = Some(error);
                }
            }
        }
        if let (true, Some(error)) = (measured.is_empty(), refused) {
            return Err(error);
        }
        measured.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let variants = measured.into_iter().map(|(_, found)| found).collect();
        let AdapterDescription { name, driver, .. } = adapter;
        Ok(Calibration { adapter: line(name), driver: line(driver), variants })
    }
}

/// Measures variants and sizes.
struct Bench<'a> {
    gpu: &'a Gpu,
    short: Known,
    long: Known,
    /// Candidates of short and of long queries: found with the first variant, the same for all.
    candidates: Option<(usize, usize)>,
}

impl Bench<'_> {
    /// The best sizes of a variant, and what it costs with them: the product of seconds for short
    /// and for long queries.
    fn variant(&mut self, variant: ShaderVariant) -> Result<(Tunings, f64)> {
        let mut best = (None, None);
        let mut refused = None;
        for tunings in Tunings::candidates(variant, &room(&self.gpu.maker.device)) {
            match self.both(variant, tunings) {
                Ok((short_time, long_time)) => {
                    improve(&mut best.0, tunings.short, short_time);
                    improve(&mut best.1, tunings.long, long_time);
                }
                Err(error) => refused = Some(error),
            }
        }
        match (best, refused) {
            ((Some((short, a)), Some((long, b))), _) => Ok((Tunings { short, long }, a * b)),
            (_, Some(error)) => Err(error),
            (_, None) => Err(too_small(variant)),
        }
    }

    /// Seconds for short and for long queries.
    fn both(&mut self, variant: ShaderVariant, tunings: Tunings) -> Result<(f64, f64)> {
        let gpu = self.gpu.compiled_with(variant, tunings)?;
        probe::check(&gpu)?;
        let (short, long) = match self.candidates {
            Some(found) => found,
            None => {
                *self.candidates.insert((enough(&gpu, &self.short)?, enough(&gpu, &self.long)?))
            }
        };
        Ok((seconds(&gpu, &self.short, short)?, seconds(&gpu, &self.long, long)?))
    }
}

/// Keeps the faster.
fn improve(best: &mut Option<(Tuning, f64)>, tuning: Tuning, seconds: f64) {
    if best.is_none_or(|(_, least)| seconds < least) {
        *best = Some((tuning, seconds));
    }
}

/// Number of candidates with which scoring takes long enough to be timed.
fn enough(gpu: &Gpu, known: &Known) -> Result<usize> {
    let mut candidates = known.documents();
    while candidates < MOST_CANDIDATES && time(gpu, known, candidates)? < LONG_ENOUGH {
        candidates *= 2;
    }
    Ok(candidates)
}

fn seconds(gpu: &Gpu, known: &Known, candidates: usize) -> Result<f64> {
    let mut least = time(gpu, known, candidates)?;
    for _ in 1..REPEATS {
        least = least.min(time(gpu, known, candidates)?);
    }
    Ok(least.as_secs_f64())
}

/// Time between the timestamps around the kernels, or, without timestamps, that of the whole call.
fn time(gpu: &Gpu, known: &Known, candidates: usize) -> Result<Duration> {
    let start = Instant::now();
    let statistics = known.check(gpu, candidates)?;
    let elapsed = start.elapsed();
    Ok(statistics.gpu_time.unwrap_or(elapsed))
}

fn too_small(variant: ShaderVariant) -> Error {
    let (expected, got) = ("enough for a tile".into(), format!("too little for {variant}"));
    Error::DeviceLimit { what: "the device's workgroup memory", expected, got }
}

/// A driver's name as one line.
fn line(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        writeln!(f, "adapter: {}", self.adapter)?;
        writeln!(f, "driver: {}", self.driver)?;
        for (variant, Tunings { short, long }) in &self.variants {
            writeln!(f, "{variant}: short {short} long {long}")?;
        }
        Ok(())
    }
}

impl FromStr for Calibration {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        if header != HEADER {
            return Err(malformed(HEADER, header));
        }
        let mut named = |name: &str| {
            let line = lines.next().unwrap_or_default().trim_end_matches('\r');
            line.strip_prefix(name).map(str::to_owned).ok_or_else(|| malformed(name, line))
        };
        let (adapter, driver) = (named("adapter: ")?, named("driver: ")?);
        let variants = lines.map(sizes).collect::<Result<Vec<_>>>()?;
        Ok(Self { adapter, driver, variants })
    }
}

/// `VARIANT: short SIZES long SIZES`
fn sizes(line: &str) -> Result<(ShaderVariant, Tunings)> {
    let expected = "VARIANT: short SIZES long SIZES, sizes that the variant can have";
    let wrong = || malformed(expected, line);
    let (variant, sizes) = line.split_once(": short ").ok_or_else(wrong)?;
    let (short, long) = sizes.split_once(" long ").ok_or_else(wrong)?;
    let variant: ShaderVariant = variant.parse()?;
    let (short, long) = (short.parse()?, long.parse()?);
    let tunings = Tunings { short, long };
    if tunings.suit(variant) { Ok((variant, tunings)) } else { Err(wrong()) }
}

fn malformed(expected: &str, got: &str) -> Error {
    let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
    Error::InvalidParameter { name: "a line of a calibration", expected, got }
}

#[cfg(test)]
mod tests {
    use super::super::tuning::tests::room;
    use super::*;

    fn calibration() -> Calibration {
        let variants = ShaderVariant::ALL
            .map(|variant| (variant, Tunings::candidates(variant, &room(false))[0]));
        let (adapter, driver) = ("A GPU: new".into(), "1.2 (beta)".into());
        Calibration { adapter, driver, variants: variants.to_vec() }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let text = calibration().to_string();
        assert_eq!(text.parse::<Calibration>().unwrap(), calibration());
        assert!(text.contains("f16-matrix16: short "), "{text}");
        // A text that was cut off after half a line end is written with a whole one.
        let cut: Calibration = format!("{HEADER}\nadapter: A\ndriver: 1\r").parse().unwrap();
        assert_eq!(cut.to_string().parse::<Calibration>().unwrap(), cut);
    }

    /// Whatever its driver calls it.
    #[test]
    fn a_calibration_fits_its_adapter() {
        for name in ["A GPU", "two\nlines", " blanks ", "\r"] {
            let adapter = AdapterDescription {
                name: name.into(),
                backend: "vulkan".into(),
                driver: name.into(),
                software: false,
                variants: vec![],
            };
            let measured = Calibration { adapter: line(name), driver: line(name), ..calibration() };
            let loaded: Calibration = measured.to_string().parse().unwrap();
            assert!(loaded.is_of(&adapter), "{name:?}");
            assert!(!calibration().is_of(&adapter), "{name:?}");
        }
    }

    #[test]
    fn what_is_not_a_calibration_is_refused() {
        let text = calibration().to_string();
        let refused = |from: &str, to: &str| {
            let error = text.replacen(from, to, 1).parse::<Calibration>().unwrap_err();
            assert!(error.to_string().contains("expected"), "{error}");
        };
        refused("calibration 2", "calibration 1");
        refused("driver", "drivers");
        refused("matrix16", "matrix4");
        refused("long 128", "long 127");
        refused("short 128", "short 0");
        refused("short", "brief");
        assert!("".parse::<Calibration>().is_err());
    }
}
