//! Static files, by tower-http's `ServeDir`: ranges, conditional requests, content types, index pages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::LOCATION;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::body::Body;
use crate::error::{Error, Kind, Origin};
use crate::gate;

/// The files below one directory. A path that leads out of it, by a symbolic link, is not found.
#[derive(Debug)]
pub struct Files {
    name: Arc<str>,
    root: PathBuf,
    service: ServeDir,
}

impl Files {
    /// Serves the files below `root`; a directory answers with its `index.html`.
    pub fn new(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        Self {
            name: root.display().to_string().into(),
            root: root.to_owned(),
            service: ServeDir::new(root).append_index_html_on_directories(true),
        }
    }

    /// The directory, as it was given.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Answers a request whose path lies below the route's `prefix`.
    pub(crate) async fn serve(
        &self,
        prefix: &str,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let error = Error::new(Kind::MethodNotAllowed, Origin::Client, "files are read by GET or HEAD");
            return Err(error.allow("GET, HEAD"));
        }
        let rest = request.uri().path().strip_prefix(prefix.trim_end_matches('/')).unwrap_or_default();
        let rest = if rest.is_empty() { "/" } else { rest };
        self.check_inside(rest).await?;
        *request.uri_mut() = rest.parse::<Uri>().map_err(|_| not_found())?;
        let mut response = self.service.clone().oneshot(request).await.map_err(|never| match never {})?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(not_found());
        }
        // From a directory to the same with a slash: `ServeDir` knows nothing of the prefix.
        if let Some(location) = response.headers_mut().get_mut(LOCATION) {
            let whole = [prefix.trim_end_matches('/').as_bytes(), location.as_bytes()].concat();
            *location = HeaderValue::from_bytes(&whole).map_err(|_| not_found())?;
        }
        Ok(response.map(Body::new))
    }

    /// The gate has made the path canonical; what is left to check is where links lead.
    async fn check_inside(&self, path: &str) -> Result<(), Error> {
        let decoded = gate::percent_decode(path).ok_or_else(not_found)?;
        let file = self.root.join(decoded.trim_start_matches('/'));
        let root = self.root.clone();
        let inside = tokio::task::spawn_blocking(move || {
            Ok::<_, std::io::Error>(file.canonicalize()?.starts_with(root.canonicalize()?))
        });
        match inside.await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(not_found()),
        }
    }
}

fn not_found() -> Error {
    Error::new(Kind::NotFound, Origin::Client, "there is no such file")
}
