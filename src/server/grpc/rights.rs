//! The calls that there are, and what a key must allow for each.

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// It needs no key.
    None,
    Read,
    Write,
}

/// Services, and their calls by what they do.
const CALLS: &[(&str, &[(Right, &[&str])])] = &[
    (
        "qdrant.Points",
        &[
            (
                Right::Read,
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
                Right::Write,
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
        ],
    ),
    (
        "qdrant.Collections",
        &[
            (
                Right::Read,
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
            (
                Right::Write,
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
        ],
    ),
    (
        "qdrant.Snapshots",
        &[
            (Right::Read, &["List", "ListFull"]),
            (Right::Write, &["Create", "Delete", "CreateFull", "DeleteFull"]),
        ],
    ),
    ("qdrant.Qdrant", &[(Right::None, &["HealthCheck"])]),
    ("grpc.health.v1.Health", &[(Right::None, &["Check", "Watch"])]),
];

/// The right that a call needs, if there is such a call.
pub(super) fn right(path: &str) -> Option<Right> {
    let (service, call) = path.strip_prefix('/')?.split_once('/')?;
    let (_, calls) = CALLS.iter().find(|(name, _)| *name == service)?;
    calls.iter().find(|(_, names)| names.contains(&call)).map(|(right, _)| *right)
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
