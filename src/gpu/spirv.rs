//! SPIR-V of a kernel: compiled by naga, mended where naga 30 writes what Vulkan doesn't allow, and with
//! what WGSL can't say.
//!
//! - A module with cooperative matrices has Vulkan's memory model. In it, an access to memory is private
//!   unless it says that it isn't, and a barrier makes writes available and visible only where it says so;
//!   naga says neither ([wgpu#8805](https://github.com/gfx-rs/wgpu/issues/8805)). [`share_memory`] does.
//! - `subgroupBarrier()` names no storage class of Vulkan's (VUID-StandaloneSpirv-OpControlBarrier-04650).
//!   [`share_memory`] names workgroup memory, for which our kernels use it.
//! - The elements of a matrix can't be reached in WGSL. [`write_raise`] gives the function
//!   `raise_elements` of `maxsim_matrix.wgsl` its body.
//! - Loops that count to a constant are marked to be unrolled, by [`unroll`]: matrices in arrays stay in
//!   registers only where their indices are constants.
//!
//! `spirv-val` accepts what comes out, which a test asks of every kernel.

use naga::back::spv;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use rspirv::binary::Assemble;
use rspirv::dr::{self, Builder, Instruction, Module, Operand};
use rspirv::spirv::{
    GlslStd450Op, LoopControl, MemoryAccess, MemoryModel, MemorySemantics, Op, StorageClass, Word,
};

/// Compiles entry point `entry` of a WGSL module whose indices and loops are trusted.
pub(super) fn compile(source: &str, entry: &str, unrolled: bool) -> Result<Vec<u32>, String> {
    let module = rspirv::dr::load_words(translate(source, entry)?);
    let mut module = module.map_err(|error| error.to_string())?;
    if has_vulkan_memory_model(&module) {
        module = share_memory(module);
    }
    if unrolled {
        unroll(&mut module);
    }
    if let Some(raise) = function_named(&module, "raise_elements") {
        module = write_raise(module, raise).map_err(|error| error.to_string())?;
    }
    Ok(module.assemble())
}

/// SPIR-V as naga writes it.
fn translate(source: &str, entry: &str) -> Result<Vec<u32>, String> {
    let module =
        naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
    let info = info.map_err(|error| error.emit_to_string(source))?;
    let options = spv::Options {
        lang_version: (1, 4),
        flags: spv::WriterFlags::DEBUG,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        bounds_check_policies: Default::default(),
        ..Default::default()
    };
    let stage = naga::ShaderStage::Compute;
    let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point: entry.into() };
    spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|error| error.to_string())
}

fn has_vulkan_memory_model(module: &Module) -> bool {
    let model = module.memory_model.as_ref();
    model.is_some_and(|it| it.operands.contains(&Operand::MemoryModel(MemoryModel::Vulkan)))
}

/// Says of every access to workgroup memory that it isn't private, and of every barrier that it makes
/// writes to it available and visible.
fn share_memory(module: Module) -> Module {
    let shared = pointers_to_workgroup_memory(&module);
    let mut builder = Builder::new_from_module(module);
    let uint = builder.type_int(32, 0);
    let semantics = MemorySemantics::ACQUIRE_RELEASE
        | MemorySemantics::WORKGROUP_MEMORY
        | MemorySemantics::MAKE_AVAILABLE
        | MemorySemantics::MAKE_VISIBLE;
    let semantics = builder.constant_bit32(uint, semantics.bits());
    let mut module = builder.module();
    for instruction in module.all_inst_iter_mut() {
        // Which operand is the pointer, and behind how many operands what is said of the access comes.
        let (pointer, operands) = match instruction.class.opcode {
            Op::Load => (0, 1),
            Op::Store => (0, 2),
            Op::CooperativeMatrixLoadKHR => (0, 3),
            Op::CooperativeMatrixStoreKHR => (0, 4),
            Op::ControlBarrier => {
                instruction.operands[2] = Operand::IdMemorySemantics(semantics);
                continue;
            }
            _ => continue,
        };
        if shared.contains(&instruction.operands[pointer].unwrap_id_ref()) {
            instruction.operands.truncate(operands);
            instruction.operands.push(Operand::MemoryAccess(MemoryAccess::NON_PRIVATE_POINTER));
        }
    }
    module
}

/// Results that point into workgroup memory.
fn pointers_to_workgroup_memory(module: &Module) -> Vec<Word> {
    let class = Operand::StorageClass(StorageClass::Workgroup);
    let is_pointer_type =
        |it: &&Instruction| it.class.opcode == Op::TypePointer && it.operands[0] == class;
    let types: Vec<Word> = module
        .types_global_values
        .iter()
        .filter(is_pointer_type)
        .filter_map(|it| it.result_id)
        .collect();
    let of_type = |it: &&Instruction| it.result_type.is_some_and(|ty| types.contains(&ty));
    module.all_inst_iter().filter(of_type).filter_map(|it| it.result_id).collect()
}

/// Marks loops whose counter is compared with a constant.
fn unroll(module: &mut Module) {
    let constants: Vec<Word> = module
        .types_global_values
        .iter()
        .filter(|it| it.class.opcode == Op::Constant)
        .filter_map(|it| it.result_id)
        .collect();
    let counts_to_constant = |block: &dr::Block| {
        let comparison = block.instructions.iter().find(|it| it.class.opcode == Op::ULessThan);
        comparison.is_some_and(|it| constants.contains(&it.operands[1].unwrap_id_ref()))
    };
    for function in &mut module.functions {
        for at in 1..function.blocks.len() {
            // naga compares in the block behind the loop's head.
            if !counts_to_constant(&function.blocks[at]) {
                continue;
            }
            let head = &mut function.blocks[at - 1].instructions;
            if let Some(merge) = head.iter_mut().find(|it| it.class.opcode == Op::LoopMerge) {
                merge.operands[2] = Operand::LoopControl(LoopControl::UNROLL);
            }
        }
    }
}

/// The place of a function among those of a module.
fn function_named(module: &Module, name: &str) -> Option<usize> {
    let name = Operand::LiteralString(name.into());
    let named = module.debug_names.iter().find(|it| it.operands.get(1) == Some(&name))?;
    let id = named.operands[0].unwrap_id_ref();
    module.functions.iter().position(|it| it.def.as_ref().and_then(|def| def.result_id) == Some(id))
}

/// Writes the body of `raise_elements(best, other, tile)`, two pointers to arrays of matrices and an index into
/// them: each element of one becomes the larger of the two, in a loop over those that an invocation has.
fn write_raise(mut module: Module, raise: usize) -> Result<Module, dr::Error> {
    let function = &mut module.functions[raise];
    function.blocks.clear();
    let [best, other, tile] = [0, 1, 2].map(|at| function.parameters[at].result_id.unwrap_or(0));
    let matrix = matrix_type(&module, raise);
    let glsl = module.ext_inst_imports.iter().find_map(|it| it.result_id);
    let mut b = Builder::new_from_module(module);
    let glsl = glsl.unwrap_or_else(|| b.ext_inst_import("GLSL.std.450"));
    let (uint, float, bool) = (b.type_int(32, 0), b.type_float(32, None), b.type_bool());
    let counter = b.type_pointer(None, StorageClass::Function, uint);
    let element = b.type_pointer(None, StorageClass::Function, float);
    let (zero, one) = (b.constant_bit32(uint, 0), b.constant_bit32(uint, 1));
    let [head, test, body, next, end] = [(); 5].map(|()| b.id());

    b.select_function(Some(raise))?;
    b.begin_block(None)?;
    let at = b.variable(counter, None, StorageClass::Function, Some(zero));
    let length = b.cooperative_matrix_length_khr(uint, None, matrix)?;
    b.branch(head)?;
    b.begin_block(Some(head))?;
    b.loop_merge(end, next, LoopControl::UNROLL, [])?;
    b.branch(test)?;
    b.begin_block(Some(test))?;
    let index = b.load(uint, None, at, None, [])?;
    let more = b.u_less_than(bool, None, index, length)?;
    b.branch_conditional(more, body, end, [])?;
    b.begin_block(Some(body))?;
    let [mine, its] =
        [best, other].map(|array| b.access_chain(element, None, array, [tile, index]));
    let (mine, its) = (mine?, its?);
    let values = [b.load(float, None, mine, None, [])?, b.load(float, None, its, None, [])?];
    let operands = values.map(Operand::IdRef);
    let larger = b.ext_inst(float, None, glsl, GlslStd450Op::FMax as Word, operands)?;
    b.store(mine, larger, None, [])?;
    b.branch(next)?;
    b.begin_block(Some(next))?;
    let following = b.i_add(uint, None, index, one)?;
    b.store(at, following, None, [])?;
    b.branch(head)?;
    b.begin_block(Some(end))?;
    b.ret()?;
    b.select_function(None)?;
    Ok(b.module())
}

/// The type of the matrices in the arrays that `raise_elements` points to.
fn matrix_type(module: &Module, raise: usize) -> Word {
    let operand = |ty: Word, at: usize| {
        let found = module.types_global_values.iter().find(|it| it.result_id == Some(ty));
        found.and_then(|it| it.operands.get(at)).map_or(0, Operand::unwrap_id_ref)
    };
    let pointer = module.functions[raise].parameters[0].result_type.unwrap_or(0);
    operand(operand(pointer, 1), 0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::{ErrorKind, Write};
    use std::process::{Command, Stdio};

    use super::super::shader::{Format, ShaderVariant};
    use super::super::tuning::tests::room;
    use super::super::tuning::{BOUNDS, Shape, Tunings};
    use super::*;

    /// WGSL of every variant with every tuning, for every shape of registers, and of bounds.
    fn sources() -> HashSet<String> {
        let mut sources = HashSet::new();
        for variant in ShaderVariant::ALL {
            for room in [room(false), room(true)] {
                for tunings in Tunings::candidates(variant, &room) {
                    for dim in [3, 20, 128, 256, 300] {
                        for tokens in [1, 32, 64] {
                            let shape = Shape::new(variant, tunings, dim, tokens);
                            let sizes = tunings.short.sizes(variant, shape, &room);
                            sources.insert(variant.maxsim_source(&sizes));
                        }
                    }
                }
            }
        }
        sources.extend([1, 257].map(|dim| {
            let shape = Shape::of_bounds(Format::Int8.octets(dim));
            let sizes = BOUNDS.sizes(ShaderVariant::PackedFma, shape, &room(false));
            ShaderVariant::bounds_source(&sizes)
        }));
        sources
    }

    /// Message of `spirv-val` on a module; `None` where it isn't there.
    fn validate(words: &[u32]) -> Option<String> {
        let mut command = Command::new("spirv-val");
        command.args(["--target-env", "vulkan1.3", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            child => child.unwrap(),
        };
        child.stdin.take().unwrap().write_all(bytemuck::cast_slice(words)).unwrap();
        let output = child.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        Some(if output.status.success() { String::new() } else { said.into_owned() })
    }

    #[test]
    fn every_kernel_is_valid_for_vulkan() {
        for source in sources() {
            for unrolled in [true, false] {
                let words = compile(&source, "maxsim", unrolled).unwrap();
                let Some(said) = validate(&words) else {
                    let required = std::env::var_os("MAXFOLD_REQUIRE_SPIRV_VAL").is_some();
                    assert!(!required, "spirv-val is required, but missing");
                    eprintln!("skipped: spirv-val: not there");
                    return;
                };
                assert!(said.is_empty(), "{said}\n{source}");
            }
        }
    }

    /// As naga writes them, kernels with matrices are not valid: this is what is mended.
    #[test]
    fn what_naga_writes_is_refused() {
        for source in sources().iter().filter(|source| source.contains("coop_mat")).take(1) {
            let said = validate(&translate(source, "maxsim").unwrap());
            assert!(said.is_none_or(|said| said.contains("VUID-StandaloneSpirv-OpControlBarrier-04650")));
        }
    }

    #[test]
    fn loops_over_arrays_of_matrices_are_unrolled() {
        for source in sources().iter().filter(|source| source.contains("const HELD = true")) {
            let unrolled = |unrolled| {
                let words = compile(source, "maxsim", unrolled).unwrap();
                let module = rspirv::dr::load_words(words).unwrap();
                let marked = Operand::LoopControl(LoopControl::UNROLL);
                module.all_inst_iter().filter(|it| it.operands.contains(&marked)).count()
            };
            assert!(unrolled(true) >= unrolled(false) + 8, "{source}");
        }
    }
}
