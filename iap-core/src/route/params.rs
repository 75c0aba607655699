//! The parameters of a path.

use std::sync::Arc;

use super::Route;
use super::tree::parameters;
use crate::gate::percent_decode;

/// The values of the parameters in a route's path, in a request's extensions: of `/users/{id}` and the
/// request `/users/7/edit` it holds `id` = `7`; of `/files/{*file}` and `/files/a/b` `file` = `a/b`. Percent-escapes are decoded; where the result is not
/// UTF-8, the value stands as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParams(Vec<(Arc<str>, String)>);

impl PathParams {
    /// The parameters of a request to `route`; `None` where its path has none.
    pub(crate) fn of(route: &Route, path: &str) -> Option<Self> {
        if route.parameters.is_empty() {
            return None;
        }
        let values = parameters(&route.path, path).map(|(_, value)| value);
        let values = values.map(|value| percent_decode(value).unwrap_or_else(|| value.to_owned()));
        Some(Self(route.parameters.iter().cloned().zip(values).collect()))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// All names and values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}
