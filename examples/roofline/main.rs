//! How near the GPU path comes to what the machine can do: measured times beside two floors, the
//! bytes over the rate at which a shader reads and the operations over the arithmetic rate, both measured
//! in the same run.
//!
//! ```sh
//! cargo run --release --example roofline
//! ```

#[path = "../../src/bin/maxfold/headless.rs"]
mod headless;
mod measure;
mod rates;
mod shapes;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use maxfold::gpu::{AdapterDescription, GpuContext, GpuOptions, ShaderVariant};
use measure::Measured;
use rates::Rates;
use shapes::{Inputs, Shape};

/// Measures resident MaxSim, by shape and shader variant, beside the machine's limits.
#[derive(Parser)]
#[command(name = "roofline")]
struct Args {
    /// Part of the GPU adapter's name, in any case; hardware comes before software.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// One shader variant instead of each.
    #[arg(long, value_name = "NAME")]
    variant: Option<ShaderVariant>,
    /// Part of a shape's name: only those shapes.
    #[arg(long, value_name = "PART", default_value = "")]
    shape: String,
    /// Calibrates first, and goes by the result.
    #[arg(long)]
    calibrate: bool,
    /// A fiftieth of the documents, and few repeats: does everything run?
    #[arg(long)]
    quick: bool,
    /// Writes the inputs and the scores of each shape there, for other programs to be measured on.
    #[arg(long, value_name = "FOLDER")]
    export: Option<PathBuf>,
}

fn main() -> ExitCode {
    headless::no_display_wanted();
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let mut options = GpuOptions::default();
    if let Some(name) = &args.adapter {
        options = options.adapter(name);
    }
    let gpu = GpuContext::with_options(&options)?;
    println!("{}, driver {}", gpu.adapter(), gpu.adapter().driver);
    if args.calibrate {
        let calibration = gpu.calibrate()?;
        println!("\n{calibration}");
        options = options.calibration(calibration);
    }
    let variants = variants(gpu.adapter(), args.variant);
    let rates: Vec<Result<Rates, String>> = variants
        .iter()
        .map(|variant| Rates::measure(&gpu, *variant, args.quick).map_err(|it| it.to_string()))
        .collect();
    drop(gpu);
    table::rates(&variants, &rates);
    for shape in Shape::ALL.iter().filter(|shape| shape.name.contains(&args.shape)) {
        let inputs = Inputs::new(if args.quick { shape.smaller() } else { *shape })?;
        if let Some(folder) = &args.export {
            inputs.export(folder)?;
        }
        table::head(&inputs.shape);
        let mut best = None;
        for (variant, rates) in variants.iter().zip(&rates) {
            match measured(&inputs, &options, *variant, rates, args) {
                Ok(measured) => best = Measured::faster(best, measured),
                Err(reason) => table::refused(*variant, &reason.to_string()),
            }
        }
        if let (Some(folder), Some(best)) = (&args.export, &best) {
            best.export(&folder.join(format!("{}.ours", shape.name)))?;
        }
    }
    Ok(())
}

/// Measures a shape on a variant, and prints it.
fn measured(
    inputs: &Inputs,
    options: &GpuOptions,
    variant: ShaderVariant,
    rates: &Result<Rates, String>,
    args: &Args,
) -> Result<Measured, Box<dyn Error>> {
    let rates = rates.as_ref().map_err(String::as_str)?;
    let gpu = GpuContext::with_options(&options.clone().variant(variant))?;
    let measured = Measured::new(&gpu, inputs, args)?;
    table::row(&gpu, &inputs.shape, rates, &measured);
    Ok(measured)
}

/// Those of the adapter, or the one that was asked for.
fn variants(adapter: &AdapterDescription, asked: Option<ShaderVariant>) -> Vec<ShaderVariant> {
    asked.map_or_else(|| adapter.variants.clone(), |variant| vec![variant])
}
