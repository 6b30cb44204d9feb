//! The graph: vectors, and links between near ones.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock};

use super::near::Near;
use super::threads::each;
use super::uppers::{Uppers, scattered};
use super::vectors::{NodeId, Outlook, Vectors};
use super::walk::{Ground, Walk};
use super::web::Web;
use super::{Distance, HnswParams};
use crate::multivector::{check_dimension, check_finite};
use crate::{Error, Result};

/// Nodes that are linked before the upper layers are told of them: so many are compared with each that
/// comes with them.
const AT_ONCE: usize = 2048;

/// Nodes that are worth a thread.
const WORTH_A_THREAD: usize = 16;

/// Until there are so many, nodes are linked one by one: in a small graph, nodes that come together
/// don't see each other.
const ALONE: usize = 256;

/// A hierarchical navigable small world graph
/// ([Malkov & Yashunin 2016](https://arxiv.org/abs/1603.09320)) that grows while it is walked.
pub(super) struct Graph {
    pub(super) params: HnswParams,
    pub(super) vectors: Arc<Vectors>,
    /// The upper layers, in which a walk begins.
    pub(super) uppers: RwLock<Arc<Uppers>>,
    /// The lowest layer. None where `m` is 0.
    pub(super) webs: Vec<Web>,
    /// Number of nodes that are linked: the first ones. Those after them are found by no walk.
    linked: AtomicU32,
    /// Returns `true` if walks look at [coded](super::codes) vectors first.
    is_rough: AtomicBool,
    /// The memory of walks, for those to come.
    walks: Mutex<Vec<Walks>>,
}

/// A walk on upper layers, and one on the lowest.
type Walks = Box<[Walk; 2]>;

impl Graph {
    pub(super) fn new(distance: Distance, params: HnswParams, dim: usize) -> Result<Self> {
        params.check()?;
        if dim == 0 {
            return Err(Error::ZeroDimension);
        }
        let webs = measures(distance, params).iter().map(|&by| Web::new(by, links(params)));
        let (vectors, webs) = (Vectors::new(distance, dim), webs.collect());
        Ok(Self::from_parts(params, vectors, Uppers::default(), webs))
    }

    /// One that was built before, with all its nodes linked.
    pub(super) fn from_parts(
        params: HnswParams,
        vectors: Vectors,
        uppers: Uppers,
        webs: Vec<Web>,
    ) -> Self {
        let (is_rough, walks) = Default::default();
        let linked = AtomicU32::new(vectors.len() as u32);
        let (vectors, uppers) = (Arc::new(vectors), RwLock::new(Arc::new(uppers)));
        Self { params, vectors, uppers, webs, linked, is_rough, walks }
    }

    /// One without nodes, and otherwise the same.
    pub(super) fn emptied(&self) -> Result<Self> {
        Self::new(self.vectors.distance, self.params, self.vectors.dim)
    }

    /// Returns `true` if walks look at coded vectors first.
    pub(super) fn is_rough(&self) -> bool {
        self.is_rough.load(Ordering::Relaxed)
    }

    /// Has walks look at coded vectors first, or not.
    pub(super) fn be_rough(&self, is_rough: bool) {
        self.is_rough.store(is_rough, Ordering::Relaxed);
    }

    /// Returns `true` if vectors are also coded.
    pub(super) fn is_coded(&self) -> bool {
        self.vectors.is_coded()
    }

    /// Appends a node, without links; `None` if there are too many to count.
    pub(super) fn push(&self, vector: &[f32]) -> Option<NodeId> {
        // Its place for links comes first: whoever sees the node sees that it has none.
        self.webs.iter().for_each(Web::push);
        self.vectors.push(vector)
    }

    /// A vector as it is compared.
    ///
    /// # Errors
    /// Another dimension, NaN or infinity.
    pub(super) fn prepared<'v>(&self, vector: &'v [f32]) -> Result<Cow<'v, [f32]>> {
        check_dimension(|| "a dense vector".into(), self.vectors.dim, vector.len())?;
        check_finite(vector, self.vectors.dim)?;
        Ok(self.vectors.distance.prepare(vector))
    }

    /// Links the next nodes that were [pushed](Graph::push), so many at most, on as many threads as rayon has
    /// here. One caller at a time.
    pub(super) fn link_next(&self, most: usize) {
        let linked = self.linked();
        let end = self.len().min(linked.saturating_add(most));
        if !self.webs.is_empty() {
            self.link_all((linked as NodeId..end as NodeId).collect());
        }
        self.linked.store(end as u32, Ordering::Release);
    }

    /// Links nodes, after all those before them.
    ///
    /// They come in an order of their own: in a file, neighbours are often alike, and would see
    /// little but each other.
    fn link_all(&self, mut nodes: Vec<NodeId>) {
        let mut linked = self.linked();
        nodes.sort_unstable_by_key(|&node| scattered(node));
        for nodes in nodes.chunks(AT_ONCE) {
            self.begin_at(|uppers| uppers.with(nodes));
            let (alone, rest) = nodes.split_at(ALONE.saturating_sub(linked).min(nodes.len()));
            alone.iter().for_each(|&node| self.link(node));
            each(rest, WORTH_A_THREAD, |&node| self.link(node));
            linked += nodes.len();
            self.begin_at(|uppers| uppers.built(self.params, &self.vectors));
        }
    }

    /// Has walks begin elsewhere. One thread at a time.
    fn begin_at(&self, change: impl FnOnce(&Uppers) -> Uppers) {
        let before = Arc::clone(&self.uppers.read());
        let uppers = Arc::new(change(&before));
        *self.uppers.write() = uppers;
    }

    fn link(&self, node: NodeId) {
        let Some(vector) = self.vectors.get(node) else { return };
        for web in &self.webs {
            let from = self.vectors.from(web.by(), vector);
            let ef = self.params.ef_construct;
            let near = self.walk(from, self.is_rough(), ef, Some(node), |_| true);
            web.link(&self.vectors, node, near);
        }
    }

    /// About the `ef` nodes nearest to a prepared query, in no order.
    pub(super) fn nearest(&self, query: &[f32], ef: usize) -> Vec<Near> {
        self.nearest_allowed(query, ef, |_| true)
    }

    /// The same for the vector of a node, as if that were not there.
    pub(super) fn nearest_to(&self, node: NodeId, ef: usize, is_rough: bool) -> Vec<Near> {
        let vector = self.vectors.get(node).unwrap_or_default();
        let from = self.vectors.from(self.vectors.distance, vector);
        self.walk(from, is_rough, ef, Some(node), |_| true)
    }

    /// The same among those that are allowed. The fewer these are, the more links it follows.
    pub(super) fn nearest_allowed(
        &self,
        query: &[f32],
        ef: usize,
        allows: impl Fn(NodeId) -> bool,
    ) -> Vec<Near> {
        let from = self.vectors.from(self.vectors.distance, query);
        self.walk(from, self.is_rough(), ef, None, allows)
    }

    /// A walk along all links, from what is near in the upper layers, and from [beacons].
    fn walk(
        &self,
        from: Outlook<'_>,
        is_rough: bool,
        ef: usize,
        without: Option<NodeId>,
        allows: impl Fn(NodeId) -> bool,
    ) -> Vec<Near> {
        let mut walks = self.walks.lock().pop().unwrap_or_default();
        let [upper, walk] = &mut *walks;
        let coded = if is_rough { from.coded() } else { None };
        let from = from.roughly(coded.as_ref());
        let nodes = self.len();
        let ground = Ways { webs: &self.webs, from, allows };
        walk.begin(nodes, ef);
        without.into_iter().for_each(|node| walk.pass_by(node));
        let uppers = Arc::clone(&self.uppers.read());
        for built in &uppers.built {
            built.nearest(from, upper).for_each(|near| walk.meet(&ground, near));
        }
        walk.visit(&ground, uppers.fresh.iter().copied().chain(beacons(self.linked())));
        walk.run(&ground);
        let near = exactly(from, walk.kept());
        self.walks.lock().push(walks);
        near
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Number of nodes that are linked, the first ones.
    pub(super) fn linked(&self) -> usize {
        self.linked.load(Ordering::Acquire) as usize
    }

    /// A node's vector, [prepared](Distance::prepare).
    pub(super) fn vector(&self, node: NodeId) -> Option<&[f32]> {
        self.vectors.get(node)
    }
}

/// Nodes with their exact nearness.
fn exactly(from: Outlook<'_>, near: impl Iterator<Item = Near>) -> Vec<Near> {
    let near: Vec<_> = near.collect();
    if !from.is_rough() {
        return near;
    }
    let mut nearness = Vec::with_capacity(near.len());
    let nodes = near.iter().map(|it| it.node());
    from.exact().nearness_of(nodes.clone(), &mut nearness);
    nearness.into_iter().zip(nodes).map(|(nearness, node)| Near::new(nearness, node)).collect()
}

/// The lowest layer, as seen from where a walk wants to go.
struct Ways<'g, F> {
    webs: &'g [Web],
    from: Outlook<'g>,
    allows: F,
}

impl<F: Fn(NodeId) -> bool> Ground for Ways<'_, F> {
    fn nearness(&self, nodes: &[NodeId], to: &mut Vec<f32>) {
        self.from.nearness_of(nodes.iter().copied(), to);
    }

    fn fetch_links(&self, node: NodeId) {
        self.webs.iter().for_each(|web| web.fetch(node));
    }

    fn links(&self, node: NodeId, to: &mut impl FnMut(NodeId)) {
        self.webs.iter().for_each(|web| web.links(node).for_each(&mut *to));
    }

    fn allows(&self, node: NodeId) -> bool {
        (self.allows)(node)
    }
}

/// The most links of a node, by one distance.
pub(super) fn links(params: HnswParams) -> usize {
    2 * params.m
}

/// The distances by which nodes are linked; none where `m` is 0.
///
/// The largest dot products of a vector are those with the longest vectors, wherever they point
/// ([Morozov & Babenko 2018](https://papers.nips.cc/paper/7722-non-metric-similarity-graphs-for-maximum-inner-product-search)).
/// Links to those alone would leave the others alone, and links to what lies near would take long to
/// get to the longest: so there are both.
pub(super) fn measures(distance: Distance, params: HnswParams) -> &'static [Distance] {
    match distance {
        _ if params.m == 0 => &[],
        Distance::Cosine => &[Distance::Cosine],
        Distance::Dot => &[Distance::Dot, Distance::Euclid],
        Distance::Euclid => &[Distance::Euclid],
        Distance::Manhattan => &[Distance::Manhattan],
    }
}

/// Some nodes from everywhere: twice the root of all.
///
/// A walk looks at them first. The upper layers lead to what is near; where groups are all equally
/// far from each other, no way is the right one, and it takes a look at each.
fn beacons(nodes: usize) -> impl Iterator<Item = NodeId> {
    let count = (2 * nodes.isqrt()).min(nodes);
    let place = move |at: usize| (at * nodes + scattered(at as NodeId) as usize % nodes) / count;
    (0..count).map(move |at| place(at) as NodeId)
}
