//! Which roles react to which events: the process table, turned round for one look-up per event.

use ordermill_core::event::EventType;
use ordermill_core::process::Role;

/// For each event type the roles that react to it, one bit each.
#[derive(Clone)]
pub(super) struct Audience([u16; EventType::ALL.len()]);

impl Default for Audience {
    fn default() -> Self {
        let mut roles_by_kind = [0; EventType::ALL.len()];
        for role in Role::ALL {
            for kind in role.reacts_to() {
                roles_by_kind[kind as usize] |= bit(role);
            }
        }
        Self(roles_by_kind)
    }
}

impl Audience {
    /// Whether the role reacts to events of this type.
    pub(super) const fn contains(&self, kind: EventType, role: Role) -> bool {
        self.0[kind as usize] & bit(role) != 0
    }
}

const fn bit(role: Role) -> u16 {
    1 << role as u8
}
