//! Requests that change points, and aliases.

use qdrant_client::qdrant::points_update_operation::{
    ClearPayload, DeletePayload, DeletePoints, DeleteVectors, Operation, OverwritePayload,
    PointStructList, SetPayload, UpdateVectors,
};
use qdrant_client::qdrant::{self, PointsUpdateOperation, VectorsSelector, alias_operations};
use serde_json::Value;

use super::filters::selected;
use super::spell::{
    Spell, Spelled, Unspell, enumerated, list, map, mirror_words, named, object, object_with,
    spell_fields, word,
};
use crate::json::Tree;

mirror_words! {
    UpdateMode { Upsert = "upsert", InsertOnly = "insert_only", UpdateOnly = "update_only" }
}

spell_fields! {
    CreateAlias { collection_name, alias_name }
    RenameAlias { old_alias_name, new_alias_name }
    DeleteAlias { alias_name }
}

impl Spell for qdrant::PointStruct {
    fn spell(self) -> Spelled {
        object([
            ("id", self.id.spell()),
            ("payload", self.payload.spell()),
            ("vector", self.vectors.spell()),
        ])
    }
}

impl Spell for qdrant::PointVectors {
    fn spell(self) -> Spelled {
        object([("id", self.id.spell()), ("vector", self.vectors.spell())])
    }
}

impl Spell for PointStructList {
    fn spell(self) -> Spelled {
        object([
            ("points", list(self.points)),
            ("update_filter", self.update_filter.spell()),
            ("update_mode", enumerated::<qdrant::UpdateMode>(self.update_mode)),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for UpdateVectors {
    fn spell(self) -> Spelled {
        object([
            ("points", list(self.points)),
            ("update_filter", self.update_filter.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for DeletePoints {
    fn spell(self) -> Spelled {
        object_with([("shard_key", self.shard_key_selector.spell())], selected(self.points))
    }
}

impl Spell for ClearPayload {
    fn spell(self) -> Spelled {
        object_with([("shard_key", self.shard_key_selector.spell())], selected(self.points))
    }
}

impl Spell for SetPayload {
    fn spell(self) -> Spelled {
        let fields = [
            ("payload", map(self.payload)),
            ("key", self.key.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ];
        object_with(fields, selected(self.points_selector))
    }
}

impl Spell for OverwritePayload {
    fn spell(self) -> Spelled {
        let Self { payload, points_selector, shard_key_selector, key } = self;
        SetPayload { payload, points_selector, shard_key_selector, key }.spell()
    }
}

impl Spell for DeletePayload {
    fn spell(self) -> Spelled {
        let fields = [("keys", list(self.keys)), ("shard_key", self.shard_key_selector.spell())];
        object_with(fields, selected(self.points_selector))
    }
}

impl Spell for DeleteVectors {
    fn spell(self) -> Spelled {
        let names = self.vectors.map(|VectorsSelector { names }| list(names));
        let fields = [
            ("vector", names.unwrap_or(Ok(Tree::Null))),
            ("shard_key", self.shard_key_selector.spell()),
        ];
        object_with(fields, selected(self.points_selector))
    }
}

impl Spell for PointsUpdateOperation {
    #[expect(deprecated, reason = "older clients name points without an object around them")]
    fn spell(self) -> Spelled {
        let Some(operation) = self.operation else { return object([]) };
        object([match operation {
            Operation::Upsert(change) => ("upsert", change.spell()),
            Operation::DeletePoints(change) => ("delete", change.spell()),
            Operation::DeleteDeprecated(points) => ("delete", selected(Some(points))),
            Operation::SetPayload(change) => ("set_payload", change.spell()),
            Operation::OverwritePayload(change) => ("overwrite_payload", change.spell()),
            Operation::DeletePayload(change) => ("delete_payload", change.spell()),
            Operation::ClearPayload(change) => ("clear_payload", change.spell()),
            Operation::ClearPayloadDeprecated(points) => ("clear_payload", selected(Some(points))),
            Operation::UpdateVectors(change) => ("update_vectors", change.spell()),
            Operation::DeleteVectors(change) => ("delete_vectors", change.spell()),
        }])
    }
}

// A request for one change says what such a change in a list says, and for which collection.

impl Spell for qdrant::UpsertPoints {
    fn spell(self) -> Spelled {
        let Self { points, shard_key_selector, update_filter, update_mode, .. } = self;
        PointStructList { points, shard_key_selector, update_filter, update_mode }.spell()
    }
}

impl Spell for qdrant::DeletePoints {
    fn spell(self) -> Spelled {
        let Self { points, shard_key_selector, .. } = self;
        DeletePoints { points, shard_key_selector }.spell()
    }
}

impl Spell for qdrant::ClearPayloadPoints {
    fn spell(self) -> Spelled {
        let Self { points, shard_key_selector, .. } = self;
        ClearPayload { points, shard_key_selector }.spell()
    }
}

impl Spell for qdrant::UpdatePointVectors {
    fn spell(self) -> Spelled {
        let Self { points, shard_key_selector, update_filter, .. } = self;
        UpdateVectors { points, shard_key_selector, update_filter }.spell()
    }
}

impl Spell for qdrant::DeletePointVectors {
    fn spell(self) -> Spelled {
        let Self { points_selector, vectors, shard_key_selector, .. } = self;
        DeleteVectors { points_selector, vectors, shard_key_selector }.spell()
    }
}

impl Spell for qdrant::SetPayloadPoints {
    fn spell(self) -> Spelled {
        let Self { payload, points_selector, shard_key_selector, key, .. } = self;
        SetPayload { payload, points_selector, shard_key_selector, key }.spell()
    }
}

impl Spell for qdrant::DeletePayloadPoints {
    fn spell(self) -> Spelled {
        let Self { keys, points_selector, shard_key_selector, .. } = self;
        DeletePayload { keys, points_selector, shard_key_selector }.spell()
    }
}

impl Spell for qdrant::UpdateBatchPoints {
    fn spell(self) -> Spelled {
        object([("operations", list(self.operations))])
    }
}

impl Spell for qdrant::AliasOperations {
    fn spell(self) -> Spelled {
        use alias_operations::Action;

        let Some(action) = self.action else { return object([]) };
        object([match action {
            Action::CreateAlias(action) => ("create_alias", action.spell()),
            Action::RenameAlias(action) => ("rename_alias", action.spell()),
            Action::DeleteAlias(action) => ("delete_alias", action.spell()),
        }])
    }
}

impl Spell for qdrant::ChangeAliases {
    fn spell(self) -> Spelled {
        object([("actions", list(self.actions))])
    }
}
