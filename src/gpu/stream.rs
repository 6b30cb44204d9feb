//! A request whose documents are streamed: copy, dispatch, read back.

use bytemuck::{bytes_of, cast_slice};
use half::f16;
use wgpu::{
    BindGroup, CommandEncoder, CommandEncoderDescriptor, ComputePassDescriptor, MapMode,
    SubmissionIndex,
};

use super::context::Gpu;
use super::pipelines::Pass;
use super::plan::{Copy, Plan};
use super::shader::{Params, QUERY_TILE, QuerySpan, Segment};
use super::wait::{Mapping, Polling};
use super::workspace::{Needs, Workspace};
use crate::multivector::TokenMatrixRef;
use crate::{Error, Result};

/// Rows that follow one another in a token matrix, `[rows, dim]`.
type Rows<'a> = &'a [f16];

impl Gpu {
    /// The MaxSim score of each document, in their order. Dimensions were checked.
    pub(super) async fn stream(
        &self,
        query: TokenMatrixRef<'_>,
        documents: &[TokenMatrixRef<'_>],
        polling: Polling,
    ) -> Result<Vec<f32>> {
        let mut scores = vec![0.0; documents.len()];
        if documents.is_empty() {
            return Ok(scores);
        }
        let plan = Plan::new(self.limits, query.tokens(), query.dim())?;
        let old = self.take_workspace();
        let needs = needs(&plan, documents, self.limits.binding_bytes);
        let mut workspace =
            self.checked(|| Workspace::new(&self.device, &self.pipelines, needs, old))?;
        for part in query.values().chunks(plan.part_tokens * query.dim()) {
            let mut scored = 0;
            for group in documents.chunks(plan.group_documents) {
                let request = Request { gpu: self, plan, part, dim: query.dim(), polling };
                let sums = request.score(&mut workspace, group).await?;
                for (score, sum) in scores[scored..].iter_mut().zip(&sums) {
                    *score += sum;
                }
                scored += group.len();
            }
        }
        self.return_workspace(workspace);
        Ok(scores)
    }
}

/// The buffer sizes of a request: what it needs, and at most a full page or group.
fn needs(plan: &Plan, documents: &[TokenMatrixRef<'_>], limit: usize) -> Needs {
    let group = documents.len().min(plan.group_documents);
    let mut largest = (0, 0);
    for group in documents.chunks(plan.group_documents) {
        for page in plan.pages(plan.part_tokens, &tokens(group)) {
            largest = (largest.0.max(rows_of(&page)), largest.1.max(page.len()));
        }
    }
    Needs {
        query: plan.part_tokens * plan.row_bytes(),
        page: largest.0 * plan.row_bytes(),
        segments: largest.1 * size_of::<Segment>(),
        maxima: group * plan.part_tokens * 4,
        scores: group * 4,
        limit,
    }
}

/// One part of a query against one group of documents at a time.
struct Request<'a> {
    gpu: &'a Gpu,
    plan: Plan,
    part: Rows<'a>,
    dim: usize,
    polling: Polling,
}

impl Request<'_> {
    /// The group's sums over the query tokens of the part.
    async fn score(
        &self,
        workspace: &mut Workspace,
        group: &[TokenMatrixRef<'_>],
    ) -> Result<Vec<f32>> {
        self.gpu.checked(|| self.write_query(workspace, group.len()))?;
        let tokens = tokens(group);
        let mut pages = self.plan.pages(self.query_tokens(), &tokens).peekable();
        let mut number = 0;
        let mut submitted = None;
        while let Some(page) = pages.next() {
            let turn = number % workspace.staging.len();
            workspace.staging[turn].ready(&self.gpu.poller, self.polling).await?;
            let (first, last) = (number == 0, pages.peek().is_none());
            let submission = self.gpu.checked(|| {
                self.fill(workspace, turn, &page, group)?;
                Ok(self.submit(workspace, turn, &page, group.len(), first, last))
            })??;
            submitted = Some(submission);
            number += 1;
        }
        match submitted {
            Some(submission) => self.read_back(workspace, group.len(), submission).await,
            None => Ok(Vec::new()),
        }
    }

    /// Tokens of the part.
    fn query_tokens(&self) -> usize {
        self.part.len() / self.dim
    }

    fn params(&self, items: usize) -> Params {
        Params {
            quads: self.plan.quads as u32,
            first_item: 0,
            items: items as u32,
            fold_width: self.plan.fold_width,
            queries: 1,
        }
    }

    fn write_query(&self, workspace: &Workspace, documents: usize) {
        let mut bytes = vec![0; self.query_tokens() * self.plan.row_bytes()];
        write_rows(self.part, self.dim, self.plan.row_bytes(), |at, row| {
            bytes[at..at + row.len()].copy_from_slice(row);
        });
        let queue = &self.gpu.queue;
        queue.write_buffer(&workspace.query, 0, &bytes);
        let tokens = self.query_tokens() as u32;
        let span = QuerySpan { first_token: 0, tokens, first_pair: 0, first_maximum: 0 };
        queue.write_buffer(&workspace.spans, 0, bytes_of(&span));
        queue.write_buffer(&workspace.sum_params, 0, bytes_of(&self.params(documents)));
    }

    /// Writes a page's rows, then its segments, into a staging buffer.
    fn fill(
        &self,
        workspace: &Workspace,
        turn: usize,
        page: &[Copy],
        group: &[TokenMatrixRef<'_>],
    ) -> Result<()> {
        let buffer = &workspace.staging[turn].buffer;
        let row_bytes = self.plan.row_bytes();
        let mut view = buffer.get_mapped_range_mut(..).map_err(|error| Error::DeviceLost {
            reason: format!("a staging buffer is not mapped: {error}"),
        })?;
        for Copy { segment, document, source_row } in page {
            let document = group[*document].values();
            let rows = &document[source_row * self.dim..][..segment.rows as usize * self.dim];
            let first = segment.first_row as usize * row_bytes;
            write_rows(rows, self.dim, row_bytes, |at, bytes| {
                view.slice(first + at..first + at + bytes.len()).copy_from_slice(bytes);
            });
        }
        let segments: Vec<Segment> = page.iter().map(|copy| copy.segment).collect();
        let bytes = cast_slice(&segments);
        let first = rows_of(page) * row_bytes;
        view.slice(first..first + bytes.len()).copy_from_slice(bytes);
        drop(view);
        buffer.unmap();
        Ok(())
    }

    /// Submits one page of a group of `documents`: before the `first`, maxima are cleared; after
    /// the `last`, they are summed.
    fn submit(
        &self,
        workspace: &mut Workspace,
        turn: usize,
        page: &[Copy],
        documents: usize,
        first: bool,
        last: bool,
    ) -> SubmissionIndex {
        let (gpu, label) = (self.gpu, Some("maxfold"));
        let params = self.params(page.len());
        gpu.queue.write_buffer(&workspace.maxsim_params, 0, bytes_of(&params));
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor { label });
        let row_bytes = (rows_of(page) * self.plan.row_bytes()) as u64;
        let segment_bytes = size_of::<Segment>() * page.len();
        let staging = &workspace.staging[turn].buffer;
        encoder.copy_buffer_to_buffer(staging, 0, &workspace.page, 0, row_bytes);
        let segments = &workspace.segments;
        encoder.copy_buffer_to_buffer(staging, row_bytes, segments, 0, segment_bytes as u64);
        if first {
            let bytes = self.query_tokens() * documents * 4;
            encoder.clear_buffer(&workspace.maxima, 0, Some(bytes as u64));
            encoder.clear_buffer(&workspace.scores, 0, None);
        }
        let tiles = self.query_tokens().div_ceil(QUERY_TILE) as u32;
        let bindings = [&workspace.maxsim_bindings, &workspace.page_bindings];
        self.dispatch(&mut encoder, &gpu.pipelines.maxsim, &bindings, page.len(), tiles);
        if last {
            let bindings = [&workspace.sum_bindings];
            self.dispatch(&mut encoder, &gpu.pipelines.sum, &bindings, documents, 1);
            let bytes = documents as u64 * 4;
            encoder.copy_buffer_to_buffer(&workspace.scores, 0, &workspace.readback, 0, bytes);
        }
        let submission = gpu.queue.submit([encoder.finish()]);
        workspace.staging[turn].recycle(submission.clone());
        submission
    }

    fn dispatch(
        &self,
        encoder: &mut CommandEncoder,
        pass: &Pass,
        bindings: &[&BindGroup],
        items: usize,
        tiles: u32,
    ) {
        let (x, y) = self.plan.fold(items);
        let mut compute = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        compute.set_pipeline(&pass.pipeline);
        for (group, bindings) in (0..).zip(bindings) {
            // Only the first group has parameters.
            compute.set_bind_group(group, *bindings, if group == 0 { &[0][..] } else { &[] });
        }
        compute.dispatch_workgroups(x, y, tiles);
    }

    async fn read_back(
        &self,
        workspace: &Workspace,
        documents: usize,
        submission: SubmissionIndex,
    ) -> Result<Vec<f32>> {
        let buffer = &workspace.readback;
        let mapping = self.gpu.checked(|| Mapping::request(buffer, MapMode::Read, submission))?;
        mapping.finish(&self.gpu.poller, self.polling).await?;
        let view = buffer.get_mapped_range(..documents as u64 * 4);
        let view = view.map_err(|error| Error::DeviceLost { reason: error.to_string() })?;
        let scores = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        buffer.unmap();
        Ok(scores)
    }
}

fn tokens(group: &[TokenMatrixRef<'_>]) -> Vec<usize> {
    group.iter().map(TokenMatrixRef::tokens).collect()
}

fn rows_of(page: &[Copy]) -> usize {
    page.iter().map(|copy| copy.segment.rows as usize).sum()
}

/// Hands out rows as the device stores them: at once if a row fills its quads, else one by one with
/// zero columns after each, which add nothing to a product.
fn write_rows(rows: Rows<'_>, dim: usize, row_bytes: usize, mut write: impl FnMut(usize, &[u8])) {
    if dim * size_of::<f16>() == row_bytes {
        return write(0, cast_slice(rows));
    }
    let mut padded = vec![0; row_bytes];
    for (index, row) in rows.chunks_exact(dim).enumerate() {
        let bytes: &[u8] = cast_slice(row);
        padded[..bytes.len()].copy_from_slice(bytes);
        write(index * row_bytes, &padded);
    }
}
