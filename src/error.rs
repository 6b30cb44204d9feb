//! The crate's one error type: a variant per fault, each carrying what was expected and what came.

mod context;
mod kind;

use std::path::PathBuf;

#[cfg(feature = "gpu")]
use context::listed;
#[cfg(feature = "collection")]
use context::{vector_named, vectors_named};

pub use kind::ErrorKind;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of another library, boxed: which library that is may change.
pub type Foreign = Box<dyn std::error::Error + Send + Sync>;

/// Errors of this crate, one variant per fault; [`Error::kind`] says whose fault it is.
///
/// A call that returns an error has changed nothing.
///
/// ```
/// use maxfold::TokenMatrix;
///
/// let error = TokenMatrix::new(&[1.0_f32, f32::NAN], 2).unwrap_err();
/// assert_eq!(error.to_string(), "expected finite values, got NaN in row 0, column 1");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A matrix or vector was declared with no columns.
    #[error("expected a dimension of at least 1, got 0")]
    ZeroDimension,

    /// A flat slice does not hold whole rows.
    #[error("expected a multiple of {dim} values (the dimension), got {values} values")]
    RaggedRows {
        /// Values in the slice.
        values: usize,
        /// The dimension it was declared with.
        dim: usize,
    },

    /// A token matrix without tokens: its MaxSim would be a maximum over nothing.
    #[error("expected at least one token in item {item}, got none")]
    NoTokens {
        /// Position of the item in its batch; 0 for a single matrix.
        item: usize,
    },

    /// A request looks something up in a collection that there isn't.
    #[cfg(feature = "collection")]
    #[error("expected the name of a collection, got {name:?}")]
    UnknownCollection {
        /// The name.
        name: String,
    },

    /// A point is an example, and doesn't have the vector that is compared.
    #[cfg(feature = "collection")]
    #[error("expected the point {id} to have {}, got none", vector_named(name))]
    MissingVector {
        /// The point's id.
        id: String,
        /// The vector's name.
        name: String,
    },

    /// A NaN or an infinity among the values.
    #[error("expected finite values, got {value} in row {row}, column {column}")]
    NotFinite {
        /// Row (token, or vector of a batch) of the value.
        row: usize,
        /// Column of the value.
        column: usize,
        /// The value.
        value: f32,
    },

    /// An error in one item of several: the same error, with the item's position; rows are counted
    /// from its first.
    #[error("item {item}: {source}")]
    InItem {
        /// Position of the item, from 0.
        item: usize,
        /// The fault.
        source: Box<Error>,
    },

    /// A finite value that f16 would round to infinity.
    #[error(
        "expected values within f16's range (-65504 to 65504), got {value} in row {row}, column {column}"
    )]
    OutOfHalfRange {
        /// Row of the value.
        row: usize,
        /// Column of the value.
        column: usize,
        /// The value, before rounding.
        value: f32,
    },

    /// Two things that are multiplied or stored together have different dimensions.
    #[error("expected {what} of dimension {expected}, got dimension {got}")]
    DimensionMismatch {
        /// The thing at fault, for example `document 3`.
        what: String,
        /// The dimension it must have.
        expected: usize,
        /// The dimension it has.
        got: usize,
    },

    /// Two lists that go together differ in length.
    #[error("expected {expected} {what}, got {got}")]
    CountMismatch {
        /// Name of the things that are counted.
        what: &'static str,
        /// Expected number.
        expected: usize,
        /// Number found.
        got: usize,
    },

    /// Offsets that do not partition the rows they index.
    #[error("expected offsets[{index}] to be {expected}, got {got}")]
    InvalidOffsets {
        /// Index into the offsets.
        index: usize,
        /// The condition that it breaks.
        expected: String,
        /// The offset found there.
        got: i128,
    },

    /// A parameter outside its range.
    #[error("expected {name} to be {expected}, got {got}")]
    InvalidParameter {
        /// Name of the parameter.
        name: &'static str,
        /// The values it may take.
        expected: String,
        /// The value given.
        got: String,
    },

    /// Something that this build was made without.
    #[error("expected a build with the feature `{feature}` for {what}, got one without")]
    FeatureMissing {
        /// The thing that was asked for.
        what: &'static str,
        /// The feature that has it.
        feature: &'static str,
    },

    /// An image that cannot be read, or written.
    #[cfg(feature = "heat-map")]
    #[error("cannot {action} an image: {source}")]
    Image {
        /// The thing that was to be done, for example `read`.
        action: &'static str,
        /// The library's error.
        source: Foreign,
    },

    /// A candidate whose matrix is nowhere: not resident on the GPU, and not given by the caller.
    #[error("expected a candidate that is resident or given, got {id}, which is neither")]
    NotResident {
        /// The id.
        id: String,
    },

    /// A document that is longer than a whole resident store.
    #[error(
        "expected document {id} to have at most {longest} tokens, what the store holds, got {tokens}"
    )]
    StoreTooSmall {
        /// The id.
        id: String,
        /// Its tokens.
        tokens: usize,
        /// Tokens of the longest document that the store can hold.
        longest: usize,
    },

    /// A point that can't be added: the error, with its id.
    #[error("point {id}: {source}")]
    InPoint {
        /// The point's id.
        id: String,
        /// The fault.
        source: Box<Error>,
    },

    /// Text that is not JSON.
    #[cfg(feature = "collection")]
    #[error("expected {what} in JSON: {fault} in line {line}, column {column}")]
    MalformedJson {
        /// The thing that was to be read, for example `a filter`.
        what: &'static str,
        /// The parser's words.
        fault: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },

    /// A field that stands twice in one object, so that one of them would be dropped.
    #[cfg(feature = "collection")]
    #[error("expected {path} once, got it again in line {line}, column {column}")]
    DuplicateField {
        /// The place, for example `filter.must`.
        path: String,
        /// The line where it stands again, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },

    /// JSON of another shape.
    #[cfg(feature = "collection")]
    #[error("expected {path} to be {expected}, got {got}")]
    InvalidJson {
        /// The place, for example `filter.must[2].range.gte`.
        path: String,
        /// Description of the values it may hold.
        expected: String,
        /// Its value, or the beginning of that.
        got: String,
    },

    /// An error in JSON of the right shape: the same error, with its place.
    #[cfg(feature = "collection")]
    #[error("{path}: {source}")]
    InJson {
        /// The place.
        path: String,
        /// The fault at that place.
        source: Box<Error>,
    },

    /// A field of a JSON object that means nothing there.
    #[cfg(feature = "collection")]
    #[error("expected only {} in {path}, got {field:?}", known.join(", "))]
    UnknownField {
        /// The place of the object.
        path: String,
        /// The field.
        field: String,
        /// The fields that it may have.
        known: &'static [&'static str],
    },

    /// Something that Qdrant has and we don't.
    #[cfg(feature = "collection")]
    #[error("{path}: {what} is not supported")]
    Unsupported {
        /// The place.
        path: String,
        /// The thing that was asked for.
        what: &'static str,
    },

    /// A name that no vector of a collection has.
    #[cfg(feature = "collection")]
    #[error("expected {}, got {}", vectors_named(known), vector_named(name))]
    UnknownVector {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },

    /// A vector whose name another one has.
    #[cfg(feature = "collection")]
    #[error("{} already exists", vector_named(name))]
    VectorExists {
        /// The name.
        name: String,
    },

    /// A directory without a collection.
    #[cfg(feature = "collection")]
    #[error("expected a collection in {}, got none", path.display())]
    NoCollection {
        /// The directory.
        path: PathBuf,
    },

    /// A directory that has a collection already.
    #[cfg(feature = "collection")]
    #[error("a collection in {} already exists", path.display())]
    CollectionExists {
        /// The directory.
        path: PathBuf,
    },

    /// A collection that is open elsewhere, in this process or another.
    #[cfg(feature = "collection")]
    #[error("{} is already open, here or in another process", path.display())]
    CollectionInUse {
        /// The directory.
        path: PathBuf,
    },

    /// A change of a collection that was opened to be read.
    #[cfg(feature = "collection")]
    #[error("cannot write to {}: it was opened to be read", path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },

    /// A collection of another version of the format.
    #[cfg(feature = "collection")]
    #[error("expected a collection of format {expected} in {}, got format {got}", path.display())]
    FormatVersion {
        /// The directory.
        path: PathBuf,
        /// The version that this library reads and writes.
        expected: u32,
        /// The collection's.
        got: u32,
    },

    /// A file that is not as it was written.
    #[cfg(feature = "recall")]
    #[error("expected {} as it was written, got {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Description of the damage.
        what: String,
    },

    /// Error of LMDB on a collection.
    #[cfg(feature = "collection")]
    #[error("cannot {action} {}: {source}", path.display())]
    Storage {
        /// `open`, `read` or `write`.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// LMDB's error.
        source: Foreign,
    },

    /// As many open files as the process may have: its hard limit, to which the soft one was raised.
    #[cfg(feature = "collection")]
    #[error(
        "cannot open {}: the process has nearly as many open files as it may, {most} (the hard limit RLIMIT_NOFILE), and a collection takes five: close some, or have the limit raised, by `ulimit -Hn` or systemd's LimitNOFILE",
        path.display()
    )]
    TooManyFiles {
        /// The directory.
        path: PathBuf,
        /// The limit.
        most: u64,
    },

    /// More snapshots of a collection at a time than there can be, in all processes together.
    #[cfg(feature = "collection")]
    #[error("cannot read {}: about a thousand snapshots live already", path.display())]
    TooManySnapshots {
        /// The directory.
        path: PathBuf,
    },

    /// A collection that has used up the address space that it got when it was opened: 64 GiB, or four
    /// times its file if that is more, or what there was under a limit of the process. Opened again, it gets
    /// more.
    #[cfg(feature = "collection")]
    #[error(
        "cannot use {}: its map is full; opened again, it gets a larger one, if the process may have more address space",
        path.display()
    )]
    MapFull {
        /// The directory.
        path: PathBuf,
    },

    /// An id that no point of a collection has.
    #[cfg(feature = "collection")]
    #[error("expected the id of a point, got {id}, which no point has")]
    UnknownPoint {
        /// The id, as in JSON.
        id: String,
    },

    /// A point that stands twice in a file, so that one of them would be dropped.
    #[cfg(feature = "collection")]
    #[error("expected each id once, got {id}, which stands in line {line}")]
    DuplicatePoint {
        /// The id, as in JSON.
        id: String,
        /// The line where it stands first, from 1.
        line: usize,
    },

    /// A payload that a collection can't keep.
    #[cfg(feature = "collection")]
    #[error("expected a payload of at most {expected} levels, got more")]
    DeepPayload {
        /// Largest depth of nesting.
        expected: usize,
    },

    /// One vector where many belong, or many where one belongs.
    #[cfg(feature = "collection")]
    #[error("expected {expected} as vector {name:?}, got {got}")]
    VectorKind {
        /// The name of the vector.
        name: String,
        /// Kind of the vector in the configuration.
        expected: &'static str,
        /// Kind of the vector that was given.
        got: &'static str,
    },

    /// An error in one vector of a point: the same error, with its name.
    #[cfg(feature = "collection")]
    #[error("vector {name:?}: {source}")]
    InVector {
        /// The name of the vector.
        name: String,
        /// The fault.
        source: Box<Error>,
    },

    /// A payload index that is there already, or that is not there.
    #[cfg(feature = "collection")]
    #[error("expected {expected} of {field}, got {got}")]
    PayloadIndex {
        /// The field.
        field: String,
        /// State that the call needs.
        expected: &'static str,
        /// State that there is.
        got: String,
    },

    /// A variable of a formula that has no value for a point, or another one than belongs there.
    #[cfg(feature = "collection")]
    #[error("expected {expected} at {key} in the payload, or among the defaults, got {got}")]
    FormulaVariable {
        /// The key.
        key: String,
        /// Kind of the value that belongs there.
        expected: &'static str,
        /// The value.
        got: String,
    },

    /// A formula that gives no number for a point, or one that f32 doesn't hold.
    #[cfg(feature = "collection")]
    #[error("expected {expression} to be finite, got {value}")]
    FormulaValue {
        /// The part of the formula, with the numbers in it.
        expression: String,
        /// Its value.
        value: f64,
    },

    /// A line of a text format that can't be read.
    #[error("expected {expected} in line {line} of {format}, got {got:?}")]
    MalformedLine {
        /// The format, for example `TREC qrels`.
        format: &'static str,
        /// Line number, from 1.
        line: usize,
        /// Description of the line's format.
        expected: &'static str,
        /// The line, or the part of it at fault.
        got: String,
    },

    /// A document given twice for one query, in judgements or in a ranking.
    #[error("expected each document once for query {query:?}, got {document:?} twice")]
    DuplicateDocument {
        /// Id of the query.
        query: String,
        /// Id of the document.
        document: String,
    },

    /// A query that has its ranking already.
    #[error("expected one ranking for query {query:?}, got a second")]
    DuplicateRanking {
        /// Id of the query.
        query: String,
    },

    /// Judgements that no ranking could do well on, so that an effectiveness measure has no mean.
    #[error(
        "expected a document of grade above 0, got none in the judgements of {queries} queries"
    )]
    NothingRelevant {
        /// Number of queries that have judgements.
        queries: usize,
    },

    /// A tensor of an interchange file is missing, or of the wrong type or shape.
    #[error("expected tensor {tensor:?} to be {expected}, got {got}")]
    InvalidTensor {
        /// Name of the tensor.
        tensor: &'static str,
        /// Type and shape it must have.
        expected: &'static str,
        /// Type and shape it has.
        got: String,
    },

    /// Bytes that are not a safetensors file, or only a part of one.
    #[error("expected a safetensors file, got {bytes} bytes that are not one: {source}")]
    InvalidSafetensors {
        /// Length of the input.
        bytes: u64,
        /// The parser's error.
        source: Foreign,
    },

    /// Tensors that the safetensors format can't hold.
    #[error("cannot write tensors as a safetensors file: {source}")]
    UnwritableSafetensors {
        /// The writer's error.
        source: Foreign,
    },

    /// A file that can't be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// Action that failed, for example `read`.
        action: &'static str,
        /// The file, or the directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },

    /// A file that should hold text, and holds something else.
    #[error("expected text in UTF-8, plain or compressed by gzip, got {got}")]
    NotText {
        /// The name of what it holds, or its first fault.
        got: String,
    },

    /// A folder that isn't a model's, or lacks a part of one.
    #[cfg(feature = "encoder")]
    #[error(
        "expected a model in {}, got no {missing} there; `hf download NAME --local-dir DIR` gets one from a hub",
        path.display()
    )]
    NoModel {
        /// The folder.
        path: PathBuf,
        /// The file that isn't there.
        missing: &'static str,
    },

    /// A model of a kind that this library can't run, or one that is damaged.
    #[cfg(feature = "encoder")]
    #[error("cannot use the model in {}: {fault}", path.display())]
    UnusableModel {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The fault.
        fault: String,
    },

    /// A text that a model failed on.
    #[cfg(feature = "encoder")]
    #[error("cannot encode a text: {source}")]
    Unencodable {
        /// The fault of the tokenizer, or of the computation.
        source: Foreign,
    },

    /// More of something than can be counted.
    #[cfg(feature = "recall")]
    #[error("expected at most {most} {what}, got more")]
    TooMany {
        /// Name of the things that are counted.
        what: &'static str,
        /// Largest number possible.
        most: u32,
    },

    /// An error in one file of several: the same error, with the file's name.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: Box<Error>,
    },

    /// An error in one line of a file: the same error, with the line's number.
    #[cfg(feature = "collection")]
    #[error("line {line}: {source}")]
    InLine {
        /// The line, from 1.
        line: usize,
        /// The fault.
        source: Box<Error>,
    },

    /// An error in one request of several: the same error, with the request's position.
    #[cfg(feature = "collection")]
    #[error("request[{index}]: {source}")]
    InRequest {
        /// Position of the request, from 0.
        index: usize,
        /// The fault.
        source: Box<Error>,
    },

    /// No GPU adapter, or none of that name.
    #[cfg(feature = "gpu")]
    #[error("expected {wanted}, got {}", listed(available))]
    NoAdapter {
        /// Description of the adapter that was asked for.
        wanted: String,
        /// The adapters that there are.
        available: Vec<String>,
    },

    /// An adapter that gives no device.
    #[cfg(feature = "gpu")]
    #[error("expected a device from {adapter}: {source}")]
    NoDevice {
        /// The adapter.
        adapter: String,
        /// The driver's error.
        source: Foreign,
    },

    /// A forced shader variant that the adapter can't run.
    #[cfg(feature = "gpu")]
    #[error(
        "expected one of the variants that {adapter} runs ({}), got {variant}",
        listed(supported)
    )]
    VariantUnsupported {
        /// The variant.
        variant: String,
        /// The adapter.
        adapter: String,
        /// The variants it can run.
        supported: Vec<String>,
    },

    /// A device that computes something else than MaxSim.
    #[cfg(feature = "gpu")]
    #[error(
        "expected {variant} to score document {document} of a known batch {expected}, got {got}"
    )]
    ProbeFailed {
        /// The shader variant.
        variant: String,
        /// The document that it got wrong.
        document: usize,
        /// Its score.
        expected: f32,
        /// The score that came.
        got: f32,
    },

    /// A kernel that can't be compiled: a fault of ours.
    #[cfg(feature = "gpu")]
    #[error("cannot compile a kernel of {variant}: {reason}")]
    KernelRefused {
        /// The shader variant.
        variant: String,
        /// The compiler's message.
        reason: String,
    },

    /// The device is out of memory.
    #[cfg(feature = "gpu")]
    #[error("the GPU is out of memory: {source}")]
    GpuOutOfMemory {
        /// wgpu's error.
        source: Foreign,
    },

    /// More than the device can do; the CPU may.
    #[cfg(feature = "gpu")]
    #[error("expected {what} to be {expected} for this GPU, got {got}")]
    DeviceLimit {
        /// The thing at fault.
        what: &'static str,
        /// Limit of the device.
        expected: String,
        /// The thing that was asked for.
        got: String,
    },

    /// The device refused a call: a fault of ours.
    #[cfg(feature = "gpu")]
    #[error("expected the GPU to take a call: {source}")]
    Gpu {
        /// wgpu's error.
        source: Foreign,
    },

    /// The device is gone: its driver was reset, or the host destroyed it.
    #[cfg(feature = "gpu")]
    #[error("expected a GPU that answers, got a lost one: {reason}")]
    DeviceLost {
        /// wgpu's error.
        reason: String,
    },

    /// The operating system refuses a thread.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// The operating system's error.
        source: std::io::Error,
    },

    /// The future of a call was dropped, so nobody waits for an answer.
    #[error("the call was cancelled")]
    Cancelled,

    /// A service has as many requests waiting as it may have.
    #[cfg(feature = "service")]
    #[error("cannot take a request: the queue is full; try again in {retry_after:?}")]
    QueueFull {
        /// Time after which the requests that wait now are about to be answered.
        retry_after: std::time::Duration,
    },

    /// A service was shut down, and takes no requests.
    #[cfg(feature = "service")]
    #[error("cannot take a request: the service is shut down")]
    ServiceStopped,

    /// The deadline of a request passed before it was answered.
    #[cfg(feature = "service")]
    #[error("cannot answer: the deadline has passed")]
    DeadlinePassed,

    /// A panic ended a call of a service: a fault of this crate, or of a closure.
    #[cfg(feature = "service")]
    #[error("cannot answer: the call panicked: {message}")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
}
