//! The calls that there are, and what a key must allow for each.

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// It needs no key.
    None,
    Read,
    Write,
}

/// Services, with some of their calls.
type Calls = &'static [(&'static str, &'static [&'static str])];

const FREE: Calls =
    &[("qdrant.Qdrant", &["HealthCheck"]), ("grpc.health.v1.Health", &["Check", "Watch"])];

const READ: Calls = &[
    (
        "qdrant.Points",
        &[
            "Get",
            "Scroll",
            "Count",
            "Facet",
            "Query",
            "QueryBatch",
            "QueryGroups",
            "Search",
            "SearchBatch",
            "SearchGroups",
            "Recommend",
            "RecommendBatch",
            "RecommendGroups",
            "Discover",
            "DiscoverBatch",
            "SearchMatrixPairs",
            "SearchMatrixOffsets",
        ],
    ),
    (
        "qdrant.Collections",
        &[
            "Get",
            "List",
            "CollectionExists",
            "ListAliases",
            "ListCollectionAliases",
            "CollectionClusterInfo",
            "ListShardKeys",
        ],
    ),
    ("qdrant.Snapshots", &["List", "ListFull"]),
];

const WRITE: Calls = &[
    (
        "qdrant.Points",
        &[
            "Upsert",
            "Delete",
            "UpdateVectors",
            "DeleteVectors",
            "SetPayload",
            "OverwritePayload",
            "DeletePayload",
            "ClearPayload",
            "UpdateBatch",
            "CreateFieldIndex",
            "DeleteFieldIndex",
            "CreateVectorName",
            "DeleteVectorName",
        ],
    ),
    (
        "qdrant.Collections",
        &[
            "Create",
            "Update",
            "Delete",
            "UpdateAliases",
            "UpdateCollectionClusterSetup",
            "CreateShardKey",
            "DeleteShardKey",
        ],
    ),
    ("qdrant.Snapshots", &["Create", "Delete", "CreateFull", "DeleteFull"]),
];

/// The right that a call needs, if there is such a call.
pub(super) fn right(path: &str) -> Option<Right> {
    let (service, call) = path.strip_prefix('/')?.split_once('/')?;
    let is_in =
        |calls: Calls| calls.iter().any(|(name, of)| *name == service && of.contains(&call));
    let rights = [(Right::None, FREE), (Right::Read, READ), (Right::Write, WRITE)];
    rights.into_iter().find(|(_, calls)| is_in(calls)).map(|(right, _)| right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_needs_what_it_does() {
        assert!(right("/qdrant.Points/QueryBatch") == Some(Right::Read));
        assert!(right("/qdrant.Points/Delete") == Some(Right::Write));
        assert!(right("/qdrant.Collections/Delete") == Some(Right::Write));
        assert!(right("/qdrant.Qdrant/HealthCheck") == Some(Right::None));
        for other in ["/qdrant.Points/List", "/qdrant.Points", "qdrant.Points/Get", "/", ""] {
            assert!(right(other).is_none(), "{other}");
        }
    }
}
