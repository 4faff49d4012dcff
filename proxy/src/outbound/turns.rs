//! The counters behind splits and round robin. They outlive configurations: a split is exact over all requests that
//! it decides, however often something else changes meanwhile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::config::route::Route;

/// How many counters there may be of each sort; beyond, all begin anew.
const MOST: usize = 8_192;

/// Whose turn it is, for every route and every backend.
#[derive(Debug, Default)]
pub struct Turns {
    /// By authority.
    routes: Mutex<HashMap<Box<str>, Vec<Counted>>>,
    backends: Mutex<HashMap<Arc<str>, u64>>,
}

/// A route, and how many requests it had.
type Counted = (Arc<Route>, u64);

impl Turns {
    /// How many requests this route of `authority` had before this one. A route that says something new begins at 0.
    pub fn of_route(&self, authority: &str, route: &Arc<Route>) -> u64 {
        let mut authorities = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(routes) = authorities.get_mut(authority) {
            let same = |(known, _): &&mut Counted| known.name == route.name && known.path == route.path;
            if let Some((known, turn)) = routes.iter_mut().find(same) {
                if !Arc::ptr_eq(known, route) {
                    if **known != **route {
                        *turn = 0;
                    }
                    *known = route.clone();
                }
                return next(turn);
            }
            if routes.len() >= MOST {
                routes.clear();
            }
            routes.push((route.clone(), 1));
            return 0;
        }
        if authorities.len() >= MOST {
            authorities.clear();
        }
        authorities.insert(authority.into(), vec![(route.clone(), 1)]);
        0
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
        assert_eq!([turns.of_route("cart.shop:80", &nines), turns.of_route("cart.shop:80", &nines)], [0, 1]);
        assert_eq!(turns.of_route("cart.shop:80", &route([9, 1])), 2, "sent again");
        assert_eq!(turns.of_route("cart.shop:80", &route([8, 2])), 0, "changed");
        assert_eq!(turns.of_route("web.shop:80", &nines), 0, "somebody else's");
    }

    #[test]
    fn a_backend_counts_on() {
        let turns = Turns::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        assert_eq!([turns.of_backend(&a), turns.of_backend(&a), turns.of_backend(&b)], [0, 1, 0]);
    }
}
