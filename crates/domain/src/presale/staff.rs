//! Presale codes as staff make and delete them.

use std::sync::Arc;

use super::{Code, CodeKey};
use crate::ids::{CodeId, ConcertId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// The characters of a code that the server makes: digits and capital letters, without 0, 1, I and O. A character has 5 bits.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// The length of such a code: 60 random bits.
const LENGTH: u32 = 12;

/// A code to make.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// The text; `None` for one that cannot be guessed.
    pub text: Option<Arc<str>>,
    /// See [`Code::uses`].
    pub uses: u32,
    /// See [`Code::uses_per_user`].
    pub uses_per_user: u32,
    /// See [`Code::from`].
    pub from: Option<Timestamp>,
    /// See [`Code::until`].
    pub until: Option<Timestamp>,
}

/// Makes presale codes of a concert, all or none. Returns them in the order of the request.
#[derive(Clone, Debug)]
pub struct CreateCodes {
    /// The concert that gets them.
    pub concert: ConcertId,
    /// The codes, no two with the same text.
    pub codes: Vec<NewCode>,
}

/// Deletes a presale code. Holds and payments that were made with it stay. Returns the code as it was.
#[derive(Clone, Debug)]
pub struct DeleteCode {
    /// The concert of the code.
    pub concert: ConcertId,
    /// The text of the code.
    pub text: Arc<str>,
}

impl DeleteCode {
    /// The key of the code.
    pub(crate) fn key(&self) -> CodeKey {
        (self.concert, self.text.clone())
    }
}

impl Command for CreateCodes {
    type Output = Vec<Code>;

    fn needs(&self, keys: &mut Keys) {
        // Its row shows that the concert exists. Its lock lets one unit of work at a time make codes of the concert.
        keys.rooms.insert(self.concert);
        for text in self.codes.iter().filter_map(|code| code.text.as_ref()) {
            keys.codes.entry((self.concert, text.clone())).or_default();
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Vec<Code>, Refusal> {
        rows.rooms.get(&self.concert).ok_or(Refusal::ConcertNotFound)?;
        let exists = |code: &NewCode| {
            code.text.as_ref().is_some_and(|text| rows.codes.get(&(self.concert, text.clone())).is_some())
        };
        if let Some(index) = self.codes.iter().position(exists) {
            return Err(Refusal::CodeExists { index });
        }
        let made: Vec<Code> = self.codes.iter().map(|code| self.make(code, cx)).collect();
        for code in &made {
            rows.codes.put(code.key(), code.clone());
        }
        Ok(made)
    }
}

impl CreateCodes {
    fn make(&self, new: &NewCode, cx: &mut Context<'_>) -> Code {
        let id = cx.ids.next(cx.at);
        Code {
            id: CodeId::new(id),
            concert: self.concert,
            text: new.text.clone().unwrap_or_else(|| text_of(cx.ids.next(cx.at).as_u128())),
            uses: new.uses,
            uses_per_user: new.uses_per_user,
            from: new.from,
            until: new.until,
            taken: 0,
            created_at: cx.at,
        }
    }
}

/// A text from the last bits of a new id, which are random.
fn text_of(id: u128) -> Arc<str> {
    let digit = |place: u32| usize::try_from(id >> (5 * place) & 31).unwrap_or(0);
    (0..LENGTH).map(|place| char::from(ALPHABET[digit(place)])).collect::<String>().into()
}

impl Command for DeleteCode {
    type Output = Code;

    fn needs(&self, keys: &mut Keys) {
        keys.codes.entry(self.key()).or_default();
    }

    fn decide(&self, rows: &mut Rows, _: &mut Context<'_>) -> Result<Code, Refusal> {
        let code = rows.codes.get(&self.key()).cloned().ok_or(Refusal::CodeNotFound)?;
        rows.codes.remove(&self.key());
        Ok(code)
    }
}
