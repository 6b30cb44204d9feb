//! The public API, as it was last agreed on: `tests/fixtures/public-api.txt`.
//!
//! A change shows here, and in the review of the fixture. `MAXFOLD_WRITE_PUBLIC_API=1` writes it anew.
//! It is read from the source, of all features, so it doesn't see what macros write, nor auto traits, nor
//! types behind `impl`; CONTRIBUTING.md says what a release is checked with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

use quote::ToTokens;
use syn::parse::Parser;
use syn::{Attribute, Field, Fields, ImplItem, Item, Type, UseTree, Visibility};

/// `["gpu", "store"]`; the crate is `[]`.
type Module = Vec<String>;

/// Items of each module, whoever may see it.
type Modules = BTreeMap<Module, Vec<Item>>;

/// A module and a name in it.
type Place = (Module, String);

fn load(file: &Path, module: &Module, modules: &mut Modules) {
    let items = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap().items;
    let is_root = matches!(file.file_stem().unwrap().to_str().unwrap(), "lib" | "mod");
    let folder = if is_root { file.parent().unwrap().to_owned() } else { file.with_extension("") };
    for item in &items {
        let Item::Mod(it) = item else { continue };
        let name = it.ident.to_string();
        let files = [format!("{name}.rs"), format!("{name}/mod.rs")].map(|it| folder.join(it));
        if let Some(file) = files.iter().find(|file| it.content.is_none() && file.exists()) {
            load(file, &[module.as_slice(), &[name]].concat(), modules);
        }
    }
    modules.insert(module.clone(), items);
}

/// The names that a `use` brings, with the paths that they stand for.
fn imports(tree: &UseTree, mut path: Module, found: &mut Vec<(String, Module)>) {
    match tree {
        UseTree::Path(it) => {
            path.push(it.ident.to_string());
            imports(&it.tree, path, found);
        }
        UseTree::Group(it) => it.items.iter().for_each(|it| imports(it, path.clone(), found)),
        UseTree::Name(it) if it.ident == "self" => found.push((path.last().unwrap().clone(), path)),
        UseTree::Name(it) => {
            path.push(it.ident.to_string());
            found.push((it.ident.to_string(), path));
        }
        UseTree::Rename(it) => {
            path.push(it.ident.to_string());
            found.push((it.rename.to_string(), path));
        }
        UseTree::Glob(_) => {}
    }
}

/// The visibility, the attributes and the name of an item that has all three.
fn head(item: &Item) -> Option<(&Visibility, &[Attribute], String)> {
    let (vis, attributes, name) = match item {
        Item::Struct(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Enum(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Fn(it) => (&it.vis, &it.attrs, &it.sig.ident),
        Item::Const(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Trait(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Type(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Mod(it) => (&it.vis, &it.attrs, &it.ident),
        _ => return None,
    };
    Some((vis, attributes, name.to_string()))
}

fn is_public(visibility: &Visibility, attributes: &[Attribute]) -> bool {
    let hidden = attributes.iter().any(|it| text(it).contains("(hidden)"));
    matches!(visibility, Visibility::Public(_)) && !hidden
}

/// The item of a module that has this name.
fn item<'m>(modules: &'m Modules, (module, name): &Place) -> Option<&'m Item> {
    modules.get(module)?.iter().find(|item| head(item).is_some_and(|it| it.2 == *name))
}

/// Where something is defined; `None` if that is another crate.
fn home(modules: &Modules, place: &Place) -> Option<Place> {
    if item(modules, place).is_some() {
        return Some(place.clone());
    }
    let (module, name) = place;
    let mut found = Vec::new();
    for item in modules.get(module)? {
        let Item::Use(it) = item else { continue };
        imports(&it.tree, Module::new(), &mut found);
    }
    let (mut base, mut path) = (module.clone(), found.into_iter().find(|(it, _)| it == name)?.1);
    while matches!(path[0].as_str(), "crate" | "super" | "self") {
        match path.remove(0).as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            _ => {}
        }
    }
    let name = path.pop()?;
    base.extend(path);
    let next = (base, name);
    if next == *place { None } else { home(modules, &next) }
}

fn text(tokens: impl ToTokens) -> String {
    tokens.to_token_stream().to_string()
}

/// Puts one field in the place of all that are private: that there are any is part of the API.
fn keep_public(fields: &mut Fields) {
    let (fields, private) = match fields {
        Fields::Named(it) => (&mut it.named, Field::parse_named.parse_str("private: _")),
        Fields::Unnamed(it) => (&mut it.unnamed, Field::parse_unnamed.parse_str("_")),
        Fields::Unit => return,
    };
    let public = fields.iter().filter(|it| is_public(&it.vis, &it.attrs)).cloned();
    let public: Vec<_> = public.map(|it| Field { attrs: Vec::new(), ..it }).collect();
    let private = (public.len() < fields.len()).then(|| private.unwrap());
    *fields = public.into_iter().chain(private).collect();
}

/// An item's declaration, without what it hides.
fn declaration(mut item: Item) -> String {
    let attributes = match &mut item {
        Item::Struct(it) => {
            keep_public(&mut it.fields);
            &mut it.attrs
        }
        Item::Enum(it) => {
            for variant in &mut it.variants {
                variant.attrs.clear();
                variant.fields.iter_mut().for_each(|field| field.attrs.clear());
            }
            &mut it.attrs
        }
        Item::Fn(it) => return text(&it.sig),
        Item::Const(it) => return format!("const {} : {}", it.ident, text(&it.ty)),
        Item::Trait(it) => {
            for item in &mut it.items {
                if let syn::TraitItem::Fn(it) = item {
                    it.attrs.clear();
                    it.default = None;
                }
            }
            &mut it.attrs
        }
        Item::Type(it) => &mut it.attrs,
        _ => return String::new(),
    };
    attributes.retain(|it| it.path().is_ident("derive") || it.path().is_ident("non_exhaustive"));
    text(item)
}

/// The public items by the place of their definition, each with the longest path that leads there.
fn exported(modules: &Modules, module: &Module, found: &mut BTreeMap<Place, Module>) {
    for it in &modules[module] {
        let mut names = Vec::new();
        match (it, head(it)) {
            (Item::Use(it), _) if is_public(&it.vis, &it.attrs) => {
                imports(&it.tree, Module::new(), &mut names);
            }
            (Item::Mod(_), Some((vis, attributes, name))) if is_public(vis, attributes) => {
                exported(modules, &[module.as_slice(), &[name]].concat(), found);
            }
            (Item::Mod(_), _) | (_, None) => {}
            (_, Some((_, _, name))) => names.push((name, Module::new())),
        }
        for (name, from) in names {
            let path = [module.as_slice(), std::slice::from_ref(&name)].concat();
            // Another crate's: by where it is from.
            let place = home(modules, &(module.clone(), name)).unwrap_or((from, "_".into()));
            let hidden =
                item(modules, &place).and_then(head).is_some_and(|it| !is_public(it.0, it.1));
            let known = found.get(&place).is_some_and(|known| known.len() >= path.len());
            if !hidden && !known {
                found.insert(place, path);
            }
        }
    }
}

/// Lines for what is implemented for the public types.
fn implementations(
    modules: &Modules,
    found: &BTreeMap<Place, Module>,
    lines: &mut BTreeSet<String>,
) {
    for (module, items) in modules {
        for item in items {
            let Item::Impl(it) = item else { continue };
            let Type::Path(of) = &*it.self_ty else { continue };
            let name = of.path.segments.last().unwrap().ident.to_string();
            let home = home(modules, &(module.clone(), name));
            let Some(path) = home.and_then(|it| found.get(&it)) else { continue };
            let path = path.join("::");
            if let Some((_, of_trait, _)) = &it.trait_ {
                lines.insert(format!("{path}: impl {}", text(of_trait)));
                continue;
            }
            for member in &it.items {
                match member {
                    ImplItem::Fn(it) if is_public(&it.vis, &it.attrs) => {
                        lines.insert(format!("{path}: {}", text(&it.sig)));
                    }
                    ImplItem::Const(it) if is_public(&it.vis, &it.attrs) => {
                        lines.insert(format!("{path}: const {} : {}", it.ident, text(&it.ty)));
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn the_public_api_is_what_was_agreed_on() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut modules, mut found) = (Modules::new(), BTreeMap::new());
    load(&root.join("src/lib.rs"), &Module::new(), &mut modules);
    exported(&modules, &Module::new(), &mut found);
    let mut lines = BTreeSet::new();
    for (place, path) in &found {
        let shown = item(&modules, place);
        let shown = shown.map_or("of another crate".into(), |it| declaration(it.clone()));
        lines.insert(format!("{}: {shown}", path.join("::")));
    }
    implementations(&modules, &found, &mut lines);
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let fixture = root.join("tests/fixtures/public-api.txt");
    if env::var_os("MAXFOLD_WRITE_PUBLIC_API").is_some() {
        fs::write(&fixture, &lines).unwrap();
    }
    let agreed = fs::read_to_string(&fixture).unwrap();
    let [now, agreed] = [&lines, &agreed].map(|it| it.lines().collect::<BTreeSet<_>>());
    let new: Vec<_> = now.difference(&agreed).collect();
    let gone: Vec<_> = agreed.difference(&now).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "the public API changed; if that is wanted, run this with MAXFOLD_WRITE_PUBLIC_API=1\n\
         new: {new:#?}\ngone: {gone:#?}"
    );
}
