//! [`Registry`]: the collections of a directory by their names, made and dropped while others are asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rayon::prelude::*;

use super::hosted::Hosted;
use super::names::Names;
use super::options::ServerOptions;
use super::refusal::Refusal;
use crate::Result;
use crate::collection::{Collection, CollectionConfig};
use crate::files::Lock;
use crate::rerank::{Backend, Reranker};
use crate::search::{Searcher, SearcherOptions};
use crate::service::{CollectionHandle, Service};

/// Collections by name, and their aliases.
pub(super) struct Registry {
    directory: PathBuf,
    reranker: Arc<Reranker>,
    service: Service,
    open: RwLock<Open>,
    /// Names as they are on disk; held by whoever changes them.
    names: Mutex<Names>,
    /// Held while the server lives.
    _lock: Lock,
}

/// Collections and aliases at one moment.
#[derive(Clone, Default)]
pub(super) struct Open {
    collections: BTreeMap<String, Arc<Hosted>>,
    aliases: BTreeMap<String, String>,
}

impl Open {
    fn find(&self, name: &str) -> Option<&Arc<Hosted>> {
        self.collections.get(self.aliases.get(name).map_or(name, String::as_str))
    }

    /// The collection that has a name, or an alias, if it could be opened.
    pub fn collection(&self, name: &str) -> Option<&Collection> {
        self.find(name)?.collection().ok()
    }
}

const LOCK: &str = "server.lock";

impl Registry {
    pub fn open(directory: &Path, options: &ServerOptions) -> Result<Self> {
        Names::make_directory(directory)?;
        let lock = Lock::take(directory, LOCK)?;
        let names = Names::read(directory)?;
        names.remove_others(directory)?;
        let reranker = match &options.reranker {
            Some(reranker) => Arc::clone(reranker),
            None => Reranker::new(Backend::Auto)?.into(),
        };
        let service = Service::new(options.service)?;
        let opened = names.collections.par_iter().map(|(name, of)| {
            let path = Names::path(directory, of);
            let opened = Collection::open(&path).and_then(|it| handle(it, &reranker, &service));
            (name.clone(), Arc::new(Hosted::new(name, path, opened)))
        });
        let open = Open { collections: opened.collect(), aliases: names.aliases.clone() };
        Ok(Self {
            directory: directory.into(),
            reranker,
            service,
            open: RwLock::new(open),
            names: Mutex::new(names),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Threads on which requests are answered.
    pub fn service(&self) -> &Service {
        &self.service
    }

    pub fn reranker(&self) -> &Reranker {
        &self.reranker
    }

    /// Collections and aliases that there are now.
    pub fn now(&self) -> Open {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The collection that has a name, or an alias.
    pub fn find(&self, name: &str) -> Option<Arc<Hosted>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).find(name).cloned()
    }

    /// The collection that has a name, or an alias; else 404.
    pub fn get(&self, name: &str) -> Result<Arc<Hosted>, Refusal> {
        check_name(name)?;
        self.find(name).ok_or_else(|| Refusal::no_collection(name))
    }

    /// All collections, by name.
    pub fn all(&self) -> Vec<Arc<Hosted>> {
        self.now().collections.into_values().collect()
    }

    /// All collections, and the names as they are on disk.
    pub fn named(&self) -> (Vec<Arc<Hosted>>, Names) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        (self.all(), names.clone())
    }

    /// Names of collections by their aliases.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        self.now().aliases
    }

    /// Makes a collection.
    pub fn create(&self, name: &str, config: CollectionConfig) -> Result<(), Refusal> {
        check_name(name)?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.collections.contains_key(name) {
            return Err(Refusal::exists("Collection", name));
        }
        if names.aliases.contains_key(name) {
            return Err(Refusal::exists("Alias", name));
        }
        let mut changed = names.clone();
        let make = |path: &Path| Ok(Collection::create(path, config)?);
        let hosted = self.host(name, &mut changed, make)?;
        self.commit(&mut names, changed, |open| {
            open.collections.insert(name.into(), hosted);
        })
    }

    /// Makes a collection in a directory of its own, to which `names` lead from now on.
    fn host(
        &self,
        name: &str,
        names: &mut Names,
        make: impl FnOnce(&Path) -> Result<Collection, Refusal>,
    ) -> Result<Arc<Hosted>, Refusal> {
        let of = names.take_directory();
        let path = Names::path(&self.directory, &of);
        let made = make(&path).and_then(|it| Ok(handle(it, &self.reranker, &self.service)?));
        let handle = made.inspect_err(|_| drop(std::fs::remove_dir_all(&path)))?;
        names.collections.insert(name.into(), of);
        Ok(Arc::new(Hosted::new(name, path, Ok(handle))))
    }

    /// Drops a collection, with its aliases; tells whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, Refusal> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = names.clone();
        if changed.collections.remove(name).is_none() {
            return Ok(false);
        }
        changed.aliases.retain(|_, of| of != name);
        let removed = self.find(name);
        self.commit(&mut names, changed, |open| drop(open.collections.remove(name)))?;
        removed.inspect(|it| it.remove());
        Ok(true)
    }

    /// Puts what `make` makes in the place of a collection, if there is one.
    pub fn replace(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<Collection, Refusal>,
    ) -> Result<(), Refusal> {
        check_name(name)?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = names.clone();
        let hosted = self.host(name, &mut changed, make)?;
        let before = self.find(name);
        self.commit(&mut names, changed, |open| {
            open.collections.insert(name.into(), hosted);
        })?;
        before.inspect(|it| it.remove());
        Ok(())
    }

    /// Changes aliases, all or none.
    pub fn change_aliases(&self, actions: &[AliasAction]) -> Result<(), Refusal> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = names.clone();
        actions.iter().try_for_each(|action| action.make(&mut changed))?;
        self.commit(&mut names, changed, |_| {})
    }

    /// Writes names, and only then lets others see them.
    fn commit(
        &self,
        names: &mut Names,
        changed: Names,
        change: impl FnOnce(&mut Open),
    ) -> Result<(), Refusal> {
        changed.write(&self.directory)?;
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut open);
        open.aliases.clone_from(&changed.aliases);
        *names = changed;
        Ok(())
    }
}

/// A change of an alias.
pub(super) enum AliasAction {
    Create { alias: String, collection: String },
    Delete { alias: String },
    Rename { from: String, to: String },
}

impl AliasAction {
    fn make(&self, names: &mut Names) -> Result<(), Refusal> {
        match self {
            Self::Create { alias, collection } => {
                check_name(alias)?;
                if !names.collections.contains_key(collection) {
                    return Err(Refusal::no_collection(collection));
                }
                if names.collections.contains_key(alias) {
                    return Err(Refusal::exists("Collection", alias));
                }
                names.aliases.insert(alias.clone(), collection.clone());
            }
            Self::Delete { alias } => drop(names.aliases.remove(alias)),
            Self::Rename { from, to } => {
                check_name(to)?;
                let Some(collection) = names.aliases.remove(from) else {
                    return Err(Refusal::not_found(format!("Alias `{from}` doesn't exist!")));
                };
                if names.collections.contains_key(to) {
                    return Err(Refusal::exists("Collection", to));
                }
                names.aliases.insert(to.clone(), collection);
            }
        }
        Ok(())
    }
}

fn handle(
    collection: Collection,
    reranker: &Arc<Reranker>,
    service: &Service,
) -> Result<CollectionHandle> {
    let options = SearcherOptions::new().reranker(Arc::clone(reranker)).at_once(true);
    Ok(service.collection(Searcher::with_options(collection, options)?.into()))
}

/// Qdrant's limits of names.
fn check_name(name: &str) -> Result<(), Refusal> {
    const FORBIDDEN: &[char] = &['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1F}'];
    match name.find(FORBIDDEN).and_then(|at| name[at..].chars().next()) {
        _ if name.is_empty() || name.len() > 255 => Err(Refusal::invalid(format!(
            "collection_name: expected 1 to 255 bytes, got {}",
            name.len()
        ))),
        Some(letter) => Err(Refusal::invalid(format!(
            "collection_name: collection name cannot contain {letter:?} char"
        ))),
        None => Ok(()),
    }
}
