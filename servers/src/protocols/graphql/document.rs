//! A parsed query, looked at before it is checked against the schema: the checks follow every
//! spread of a fragment, so that a few fragments which spread each other twice would keep them busy
//! for ever.

use std::collections::HashMap;

use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, VariableDefinition,
};
use async_graphql::{Name, Positioned, Value, Variables};
use proto::bounds::CANDLES_MAX;

/// What a document may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentBounds {
    /// Aliases, each counted where it is written.
    pub(super) aliases_max: usize,
    /// Fields and spreads, once every fragment stands where it is spread.
    pub(super) selections_max: usize,
    /// Lists of the introspection below each other.
    pub(super) introspection_lists_max: usize,
    /// `__typename` in one selection.
    pub(super) typenames_max: usize,
}

/// Fields of the introspection that give lists: below each other they multiply.
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "interfaces", "possibleTypes", "inputFields"];

/// The field that every type has.
const TYPENAME: &str = "__typename";

/// Looks at every operation and every fragment.
///
/// # Errors
/// What the document has too much of.
pub(super) fn check(document: &ExecutableDocument, bounds: &DocumentBounds) -> Result<(), String> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let aliases: usize = operations.clone().chain(fragments).map(aliases).sum();
    if aliases > bounds.aliases_max {
        return Err(format!("{aliases} aliases are over the limit of {}", bounds.aliases_max));
    }
    let mut sizes = Sizes { document, bounds, fragments: HashMap::new() };
    let mut selections = 0_usize;
    for operation in operations {
        selections = selections.saturating_add(sizes.of(operation)?.selections);
    }
    // What no operation spreads is checked too.
    for name in document.fragments.keys() {
        sizes.of_fragment(name)?;
    }
    sizes.check(Size { selections, ..Size::default() }).map(|_| ())
}

/// Whether nothing but queries is in it.
pub(super) fn reads_only(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query)
}

/// Whether the operation of a name, or the only one, is a subscription.
pub(super) fn subscribes(document: &ExecutableDocument, name: Option<&str>) -> bool {
    let mut operations = document.operations.iter();
    let asked = match name {
        Some(name) => operations.find(|(other, _)| other.is_some_and(|other| other.as_str() == name)),
        None => operations.next(),
    };
    asked.is_some_and(|(_, operation)| operation.node.ty == OperationType::Subscription)
}

/// Candles that a document asks for, at most.
pub(super) fn candles(document: &ExecutableDocument, variables: &Variables) -> usize {
    let of = |(_, operation): (_, &Positioned<OperationDefinition>)| {
        let asked = Asked { document, variables, defaults: &operation.node.variable_definitions };
        asked.candles(&operation.node.selection_set.node)
    };
    document.operations.iter().map(of).fold(0, usize::saturating_add)
}

/// What an operation asks for, with its variables.
struct Asked<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    defaults: &'a [Positioned<VariableDefinition>],
}

impl Asked<'_> {
    /// A history is a field of the query itself, so that nothing below its fields is looked at. A
    /// fragment that spreads itself was refused before.
    fn candles(&self, selection: &SelectionSet) -> usize {
        let of = |item: &Selection| match item {
            Selection::Field(field) if field.node.name.node == "history" => {
                let n = field.node.get_argument("n").map(|n| n.node.clone());
                n.map_or(0, |n| number(n.into_const_with(|name| self.variable(&name))))
            }
            Selection::Field(_) => 0,
            Selection::InlineFragment(fragment) => self.candles(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                fragment.map_or(0, |fragment| self.candles(&fragment.node.selection_set.node))
            }
        };
        selection.items.iter().map(|item| of(&item.node)).fold(0, usize::saturating_add)
    }

    fn variable(&self, name: &Name) -> Result<Value, Unknown> {
        let default = || {
            let defined = self.defaults.iter().find(|defined| defined.node.name.node == *name)?;
            defined.node.default_value()
        };
        self.variables.get(name).or_else(default).cloned().ok_or(Unknown)
    }
}

/// A variable that has no value.
struct Unknown;

/// How many candles a value asks for; all that there are where it is no number of them.
fn number(value: Result<Value, Unknown>) -> usize {
    let number = match value {
        Ok(Value::Number(number)) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    number.unwrap_or(CANDLES_MAX).min(CANDLES_MAX) as usize
}

/// Aliases in a selection; the text's bound on brackets bounds how deep it is.
fn aliases(selection: &SelectionSet) -> usize {
    let of = |item: &Selection| match item {
        Selection::Field(field) => {
            usize::from(field.node.alias.is_some()) + aliases(&field.node.selection_set.node)
        }
        Selection::InlineFragment(fragment) => aliases(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => 0,
    };
    selection.items.iter().map(|item| of(&item.node)).sum()
}

/// How large a selection is once every fragment stands where it is spread.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    selections: usize,
    lists: usize,
    /// Of the selection itself, not of those below it.
    typenames: usize,
}

/// Sizes, each fragment's found once.
struct Sizes<'a> {
    document: &'a ExecutableDocument,
    bounds: &'a DocumentBounds,
    /// `None` while a fragment is being looked at.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, selection: &'a SelectionSet) -> Result<Size, String> {
        let mut size = Size::default();
        for item in &selection.items {
            let of_item = match &item.node {
                Selection::Field(field) => {
                    let below = self.of(&field.node.selection_set.node)?;
                    let name = field.node.name.node.as_str();
                    Size {
                        lists: below.lists + usize::from(INTROSPECTION_LISTS.contains(&name)),
                        typenames: usize::from(name == TYPENAME),
                        ..below
                    }
                }
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node)?,
            };
            size.selections = size.selections.saturating_add(of_item.selections).saturating_add(1);
            size.lists = size.lists.max(of_item.lists);
            size.typenames = size.typenames.saturating_add(of_item.typenames);
        }
        self.check(size)
    }

    fn of_fragment(&mut self, name: &'a str) -> Result<Size, String> {
        match self.fragments.get(name) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(format!("the fragment {name} spreads itself")),
            None => {}
        }
        // An unknown one is refused by the schema's checks, which have better words for it.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Size::default());
        };
        self.fragments.insert(name, None);
        let size = self.of(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }

    fn check(&self, size: Size) -> Result<Size, String> {
        let DocumentBounds { selections_max, introspection_lists_max, typenames_max, .. } = *self.bounds;
        if size.selections > selections_max {
            return Err(format!("too large: at most {selections_max} selections, spread fragments included"));
        }
        if size.lists > introspection_lists_max {
            return Err(format!("at most {introspection_lists_max} lists of the introspection may nest"));
        }
        if size.typenames > typenames_max {
            return Err(format!("at most {typenames_max} {TYPENAME} may stand in one selection"));
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    const BOUNDS: DocumentBounds =
        DocumentBounds { aliases_max: 3, selections_max: 100, introspection_lists_max: 3, typenames_max: 50 };

    fn checked(query: &str) -> Result<(), String> {
        check(&parse_query(query).unwrap(), &BOUNDS)
    }

    /// `levels` fragments, each of which spreads the next one `times` times.
    fn multiplying(levels: usize, times: usize) -> String {
        let fragment = |nth: usize| {
            format!("fragment F{nth} on Query{{{}}} ", format!("...F{} ", nth + 1).repeat(times))
        };
        let fragments: String = (0..levels).map(fragment).collect();
        format!("{{...F0}} {fragments} fragment F{levels} on Query{{__typename}}")
    }

    #[test]
    fn fragments_count_wherever_they_are_spread() {
        assert_eq!(checked("{quote{symbol} ...A ...A} fragment A on Query{__typename}"), Ok(()));
        assert!(checked(&multiplying(3, 2)).is_ok());
        for query in [
            multiplying(30, 2),
            multiplying(20, 3),
            multiplying(30, 2).replace("...F1 ", "...on Query{...F1} "),
            format!("{{__typename}} {}", multiplying(30, 2).replace("{...F0}", "")),
            format!("{{{}}}", "a ".repeat(101)),
        ] {
            assert!(checked(&query).is_err_and(|said| said.contains("at most 100 selections")), "{query}");
        }
        for circle in [
            "{...A} fragment A on Query{...A}",
            "{...A} fragment A on Query{...B} fragment B on Query{a{...A}}",
            "{a} fragment A on Query{...A}",
        ] {
            assert!(checked(circle).is_err_and(|said| said.contains("spreads itself")), "{circle}");
        }
        assert_eq!(checked("{...Unknown}"), Ok(()));
    }

    #[test]
    fn lists_of_the_introspection_count_through_fragments() {
        let nested = |levels: usize| {
            format!("{{__schema{{{}name{}}}}}", "fields{type{".repeat(levels), "}}".repeat(levels))
        };
        assert_eq!(checked(&nested(3)), Ok(()));
        assert!(checked(&nested(4)).is_err());
        let hidden = "{__schema{types{...A}}} fragment A on T{fields{type{fields{type{...B}}}}} \
                      fragment B on T{fields{type{interfaces{name}}}}";
        assert!(checked(hidden).is_err_and(|said| said.contains("at most 3 lists")));
    }

    #[test]
    fn typenames_count_in_one_selection_through_fragments() {
        let two = DocumentBounds { typenames_max: 2, ..BOUNDS };
        for (query, is_right) in [
            ("{__typename quote{__typename __typename} __typename}", true),
            ("{quote{__typename __typename __typename}}", false),
            ("{quote{__typename ...A ...A}} fragment A on Quote{a:__typename}", false),
            ("{quote{__typename ...on Quote{...on Quote{__typename __typename}}}}", false),
        ] {
            assert_eq!(check(&parse_query(query).unwrap(), &two).is_ok(), is_right, "{query}");
        }
    }

    #[test]
    fn candles_are_those_that_an_operation_asks_for() {
        let candles = |query: &str, variables: serde_json::Value| {
            candles(&parse_query(query).unwrap(), &Variables::from_json(variables))
        };
        let none = serde_json::Value::Null;
        assert_eq!(candles("{quote(symbol:\"AAAA\"){symbol}}", none.clone()), 0);
        assert_eq!(candles("{a:history(n:7){symbol} history(n:5){symbol}}", none.clone()), 12);
        let hidden = "{...A ...on Query{history(n:1){symbol}}} fragment A on Query{history(n:2){symbol}}";
        assert_eq!(candles(hidden, none.clone()), 3);
        let by_variable = "query($n:Int=9){history(n:$n){symbol}}";
        assert_eq!(candles(by_variable, serde_json::json!({ "n": 4 })), 4);
        assert_eq!(candles(by_variable, none.clone()), 9);
        // What is out of range is refused later, and weighs as much as what is allowed at most.
        for all in ["{history(n:4000000000){symbol}}", "{history(n:-1){symbol}}", "{history(n:$m){symbol}}"] {
            assert_eq!(candles(all, none.clone()), 10_000, "{all}");
        }
        assert_eq!(candles("{history{symbol}}", none), 0);
    }

    #[test]
    fn aliases_count_where_they_are_written() {
        assert_eq!(checked("{a:x b:y ...F} fragment F on Query{c:z}"), Ok(()));
        assert!(checked("{a:x b:y ...F} fragment F on Query{c:z d:z}").is_err());
    }
}
