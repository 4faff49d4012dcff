//! The counters behind splits and round robin. They outlive configurations: a split is exact over all requests that
//! it decides, however often something else changes meanwhile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    base::chance,
    config::{route::Route, split::Turn},
};

/// How many counters there may be of each sort; beyond, all begin anew.
const MOST: usize = 8_192;

/// Whose turn it is, for every route and every backend.
#[derive(Debug, Default)]
pub struct Turns {
    /// By authority.
    routes: Mutex<HashMap<Box<str>, Vec<Counted>>>,
    backends: Mutex<HashMap<Arc<str>, u64>>,
}

/// A route, and the turn of its next request.
type Counted = (Arc<Route>, Turn);

impl Turns {
    /// Which of the requests of this route of `authority` this one is. A route that says something new begins at 0.
    pub fn of_route(&self, authority: &str, route: &Arc<Route>) -> Turn {
        let mut authorities = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(routes) = authorities.get_mut(authority) {
            let same = |(known, _): &&mut Counted| known.name == route.name && known.path == route.path;
            if let Some((known, turn)) = routes.iter_mut().find(same) {
                if !Arc::ptr_eq(known, route) {
                    if **known != **route {
                        turn.number = 0;
                    }
                    *known = route.clone();
                }
                return Turn { number: next(&mut turn.number), ..*turn };
            }
            if routes.len() >= MOST {
                routes.clear();
            }
            return begin(routes, route);
        }
        if authorities.len() >= MOST {
            authorities.clear();
        }
        begin(authorities.entry(authority.into()).or_default(), route)
    }

    /// How many requests this backend had before this one.
    pub fn of_backend(&self, backend: &Arc<str>) -> u64 {
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = backends.get_mut(backend) {
            return next(turn);
        }
        if backends.len() >= MOST {
            backends.clear();
        }
        backends.insert(backend.clone(), 1);
        0
    }
}

/// The first turn of a route, which is counted from now on.
fn begin(routes: &mut Vec<Counted>, route: &Arc<Route>) -> Turn {
    let first = Turn { number: 0, seed: chance::bits() };
    routes.push((route.clone(), Turn { number: 1, ..first }));
    first
}

fn next(turn: &mut u64) -> u64 {
    let this = *turn;
    *turn = this.wrapping_add(1);
    this
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        route::{Action, PathMatch},
        split::Split,
    };

    fn route(weights: [u32; 2]) -> Arc<Route> {
        let split = Split::new(["a", "b"].into_iter().map(Arc::from).zip(weights)).unwrap();
        let action = Action::Forward { split, missing_backend_status: 500 };
        Arc::new(Route { name: "TrafficSplit shop/cart".into(), path: PathMatch::Prefix("/".into()), action })
    }

    #[test]
    fn a_route_counts_on_while_it_says_the_same() {
        let turns = Turns::default();
        let nines = route([9, 1]);
        let number = |authority: &str, route: &Arc<Route>| turns.of_route(authority, route).number;
        assert_eq!([number("cart.shop:80", &nines), number("cart.shop:80", &nines)], [0, 1]);
        assert_eq!(number("cart.shop:80", &route([9, 1])), 2, "sent again");
        assert_eq!(number("cart.shop:80", &route([8, 2])), 0, "changed");
        assert_eq!(number("web.shop:80", &nines), 0, "somebody else's");
    }

    #[test]
    fn a_route_keeps_its_seed_and_shares_it_with_nobody() {
        let (here, there) = (Turns::default(), Turns::default());
        let nines = route([9, 1]);
        let seed = |turns: &Turns, authority| turns.of_route(authority, &nines).seed;
        assert_eq!(seed(&here, "cart.shop:80"), seed(&here, "cart.shop:80"));
        assert_ne!(seed(&here, "cart.shop:80"), seed(&here, "web.shop:80"));
        assert_ne!(seed(&here, "cart.shop:80"), seed(&there, "cart.shop:80"));
    }

    #[test]
    fn a_backend_counts_on() {
        let turns = Turns::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        assert_eq!([turns.of_backend(&a), turns.of_backend(&a), turns.of_backend(&b)], [0, 1, 0]);
    }
}
