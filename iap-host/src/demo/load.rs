//! A gentle load: a few customers who sign in, browse, search, fill carts and check out.

use std::net::SocketAddr;
use std::time::Duration;

use super::faults::{self, Fault};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use iap_core::BoxError;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Customers at once.
const CUSTOMERS: u64 = 4;
/// Those who may sign in at once.
const STORM: u64 = 20;
/// Steps of one visit, then the connection and the cookie are given up.
const VISIT: usize = 25;

/// The load; dropping it stops it.
pub(crate) struct Load(JoinSet<()>);

impl Load {
    pub(crate) fn start(shop: SocketAddr) -> Self {
        let mut customers = JoinSet::new();
        for number in 0..CUSTOMERS {
            customers.spawn(async move {
                let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                loop {
                    if let Err(error) = visit(shop, number, &mut dice).await {
                        tracing::debug!(%error, "a visit of the demo ended early");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            });
        }
        if faults::enabled() {
            for number in 0..STORM {
                customers.spawn(storm(shop, number));
            }
        }
        Self(customers)
    }

    pub(crate) fn stop(mut self) {
        self.0.abort_all();
    }
}

/// One of many who sign in again and again while the demo says so.
async fn storm(shop: SocketAddr, number: u64) {
    loop {
        tokio::time::sleep(Duration::from_millis(100 + number * 7)).await;
        if !faults::is(Fault::LoginStorm) {
            continue;
        }
        let signed_in = async {
            let stream = TcpStream::connect(shop).await?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let mut customer = Customer { sender, host: shop.to_string(), cookie: None };
            customer.send(Method::POST, "/login", &format!("user=guest{number}")).await
        };
        if let Err(error) = signed_in.await {
            tracing::debug!(%error, "nobody signed in");
        }
    }
}

/// A xorshift generator: the load shall vary, not be unpredictable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

async fn visit(shop: SocketAddr, number: u64, dice: &mut Dice) -> Result<(), BoxError> {
    let stream = TcpStream::connect(shop).await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut customer = Customer { sender, host: shop.to_string(), cookie: None };
    let user = ["alice", "bora", "chul", "dana"][number as usize % 4];
    customer.send(Method::POST, "/login", &format!("user={user}")).await?;
    for _ in 0..VISIT {
        match dice.roll(16) {
            3 | 4 if faults::has_stock() => customer.send(Method::GET, "/stock", "").await?,
            0..5 => customer.send(Method::GET, "/products", "").await?,
            5..8 => customer.send(Method::GET, "/", "").await?,
            8..10 => customer.send(Method::GET, "/search?q=lamp", "").await?,
            10 if dice.roll(4) == 0 => customer.send(Method::GET, "/search?q=a", "").await?,
            10..13 => customer.send(Method::POST, "/cart", &format!("product={}", dice.roll(6) + 1)).await?,
            13 => customer.send(Method::GET, "/cart", "").await?,
            14 if faults::enabled() => customer.send(Method::GET, "/delivery", "").await?,
            14 => customer.send(Method::GET, "/missing", "").await?,
            _ => customer.send(Method::POST, "/checkout", "").await?,
        }
        tokio::time::sleep(Duration::from_millis(80 + dice.roll(320))).await;
    }
    Ok(())
}

struct Customer {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    cookie: Option<String>,
}

impl Customer {
    async fn send(&mut self, method: Method, path: &str, form: &str) -> Result<(), BoxError> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if !form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::from(form.to_owned()))?).await?;
        self.keep_cookie(&response);
        response.into_body().collect().await?;
        Ok(())
    }

    fn keep_cookie(&mut self, response: &Response<Incoming>) {
        let set = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        if let Some(pair) = set.and_then(|value| value.split(';').next()) {
            self.cookie = Some(pair.to_owned());
        }
    }
}
