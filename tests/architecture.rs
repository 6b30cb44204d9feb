//! The architecture that ARCHITECTURE.md promises: imports go from its table's rows to rows above, no
//! files import one another in a circle, and every file has its place in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Item, ItemUse, UseTree};

/// Modules are named by their path, `["gpu", "store", "lookup"]`; the crate is `[]`.
type Module = Vec<String>;

/// A file of `src`, and the paths that stand in it.
struct Source {
    path: PathBuf,
    text: String,
    /// Files of tests beside it.
    tests: BTreeSet<String>,
    /// Names that are defined in it.
    defined: BTreeSet<String>,
    /// Names that it imports, public or not, with where they come from.
    imported: BTreeMap<String, Module>,
    /// Every path of this crate.
    used: BTreeSet<Module>,
}

fn sources() -> BTreeMap<Module, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // A program is a crate of its own.
                if path.file_name().is_none_or(|name| name != "bin") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "rs") {
                let relative = path.strip_prefix(&root).unwrap().to_owned();
                let module = module_of(&relative);
                sources.insert(module.clone(), Source::read(&path, relative, module));
            }
        }
    }
    let tests: Vec<Module> = sources
        .iter()
        .flat_map(|(module, source)| {
            source.tests.iter().map(|name| [module.as_slice(), std::slice::from_ref(name)].concat())
        })
        .collect();
    sources.retain(|module, _| !tests.contains(module));
    sources
}

fn module_of(path: &Path) -> Module {
    let mut module: Module =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into()).collect();
    if matches!(module.last().unwrap().as_str(), "mod" | "lib") {
        module.pop();
    }
    module
}

impl Source {
    fn read(path: &Path, relative: PathBuf, module: Module) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let file = syn::parse_file(&text).unwrap();
        let mut names = Names { module, ..Names::default() };
        names.visit_file(&file);
        let Names { tests, defined, imported, used, .. } = names;
        Self { path: relative, text, tests, defined, imported, used }
    }
}

/// What a file defines, imports and uses.
#[derive(Default)]
struct Names {
    module: Module,
    tests: BTreeSet<String>,
    defined: BTreeSet<String>,
    imported: BTreeMap<String, Module>,
    used: BTreeSet<Module>,
}

impl Names {
    /// The path of something in this crate, from the crate's root.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let mut base = self.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|it| it == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            // A module beside, or another crate.
            _ => {}
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn import(&mut self, tree: &UseTree, mut path: Module) {
        match tree {
            UseTree::Path(it) => {
                path.push(it.ident.to_string());
                self.import(&it.tree, path);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path.clone()));
            }
            UseTree::Name(it) if it.ident == "self" => self.imports(None, &path),
            UseTree::Name(it) => {
                path.push(it.ident.to_string());
                self.imports(None, &path);
            }
            UseTree::Rename(it) => {
                path.push(it.ident.to_string());
                self.imports(Some(it.rename.to_string()), &path);
            }
            UseTree::Glob(_) => self.imports(None, &path),
        }
    }

    fn imports(&mut self, name: Option<String>, path: &[String]) {
        let name = name.or_else(|| path.last().cloned()).unwrap();
        let path = self.absolute(path).unwrap();
        self.used.insert(path.clone());
        self.imported.insert(name, path);
    }
}

fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => return false,
    };
    attributes.iter().any(|it| {
        it.path().is_ident("cfg")
            && it.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(item) {
            if let Item::Mod(it) = item {
                self.tests.insert(it.ident.to_string());
            }
            return;
        }
        let name = match item {
            Item::Struct(it) => Some(&it.ident),
            Item::Enum(it) => Some(&it.ident),
            Item::Fn(it) => Some(&it.sig.ident),
            Item::Const(it) => Some(&it.ident),
            Item::Static(it) => Some(&it.ident),
            Item::Trait(it) => Some(&it.ident),
            Item::Type(it) => Some(&it.ident),
            Item::Macro(it) => it.ident.as_ref(),
            _ => None,
        };
        self.defined.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, Module::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Module = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if matches!(names[0].as_str(), "crate" | "super" | "self") && names.len() > 1 {
            self.used.extend(self.absolute(&names));
        }
        visit::visit_path(self, path);
    }
}

/// The file that defines what a path names; `None` if it is of another crate, or of its own file.
fn home(sources: &BTreeMap<Module, Source>, path: &[String], depth: usize) -> Option<Module> {
    assert!(depth < 20, "imports in a circle at {path:?}");
    let length = (0..=path.len()).rev().find(|length| sources.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    let source = &sources[module];
    let Some(name) = rest.first() else { return Some(module.to_vec()) };
    if source.defined.contains(name) {
        return Some(module.to_vec());
    }
    let from = source.imported.get(name)?;
    if from == path {
        return None;
    }
    home(sources, &[from, &rest[1..]].concat(), depth + 1)
}

/// For each file, the files that it imports from.
fn imports(sources: &BTreeMap<Module, Source>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let of = |(module, source): (_, &Source)| {
        let homes = source.used.iter().filter_map(|path| home(sources, path, 0));
        (module, homes.filter(|home| home != module).collect())
    };
    sources.iter().map(of).collect()
}

/// The rows of ARCHITECTURE.md's table: for each folder or file of `src`, the rows it may import from.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"));
    let text = text.unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `src/"));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].split('`').nth(1).unwrap();
        let name = name.trim_start_matches("src/").trim_end_matches('/').trim_end_matches(".rs");
        let may = cells.last().unwrap().split(',').map(|it| it.trim().to_owned());
        (name.to_owned(), may.filter(|it| !it.is_empty()).collect())
    };
    rows.map(row).collect()
}

#[test]
fn imports_are_those_of_the_table() {
    let (sources, table) = (sources(), table());
    let order: Vec<_> = table.iter().map(|(name, _)| name.as_str()).collect();
    for (row, (name, may)) in table.iter().enumerate() {
        for import in may {
            let above = order[..row].contains(&import.as_str());
            assert!(above, "{name} may import {import}, which is no row above it");
        }
    }
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (module, homes) in imports(&sources) {
        let Some(from) = module.first() else { continue };
        assert!(order.contains(&from.as_str()), "{from} has no row");
        for to in homes.iter().filter_map(|home| home.first()).filter(|to| *to != from) {
            let may = &table.iter().find(|(name, _)| name == from).unwrap().1;
            let file = sources[module].path.display();
            assert!(may.contains(to), "{file} imports from {to}; {from} may only from {may:?}");
            used.entry(from.as_str()).or_default().insert(to.clone());
        }
    }
    for (name, may) in &table {
        assert!(
            sources.keys().any(|module| module.first() == Some(name)),
            "{name}: no such module"
        );
        let used = used.remove(name.as_str()).unwrap_or_default();
        assert_eq!(may, &used, "{name} imports less than the table says");
    }
}

/// Everything that a file imports, from files that it imports, too.
fn reached(imports: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(module) = left.pop() {
        left.extend(imports[module].iter().filter(|it| reached.insert((*it).clone())));
    }
    reached
}

/// A folder's `mod.rs` says what its files are; what it imports of them, it gives to others.
#[test]
fn no_files_import_one_another_in_a_circle() {
    let sources = sources();
    let mut imports = imports(&sources);
    for (module, homes) in &mut imports {
        let is_folder = sources.keys().any(|it| it.len() > module.len() && it.starts_with(module));
        homes.retain(|home| !is_folder || !home.starts_with(module));
    }
    let reached: BTreeMap<_, _> = imports.keys().map(|it| (*it, reached(&imports, it))).collect();
    let circle = |module: &&Module| {
        let together = reached[*module].iter().filter(|it| reached[*it].contains(*module));
        together.map(|it| it.join("/")).collect::<Vec<_>>()
    };
    let circles: BTreeSet<_> =
        imports.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    assert!(circles.is_empty(), "files that import one another: {circles:#?}");
}

/// Where a folder's `mod.rs` has a table of files, it names all of them.
#[test]
fn every_file_is_in_the_table_of_its_folder() {
    let sources = sources();
    for (module, source) in &sources {
        let table: Vec<&str> = source.text.lines().filter(|it| it.starts_with("//! | `")).collect();
        let beside =
            sources.keys().filter(|it| it.len() == module.len() + 1 && it.starts_with(module));
        if table.is_empty() || module.is_empty() {
            continue;
        }
        for child in beside {
            let name = child.last().unwrap();
            let named = [format!("`{name}.rs`"), format!("`{name}/`")];
            let row = table.iter().any(|row| named.iter().any(|it| row.contains(it)));
            assert!(row, "{name} is not in the table of {}", source.path.display());
        }
    }
}
