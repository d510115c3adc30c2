//! What came out, beside what was to be reached.

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Figures {
    missed: Vec<String>,
}

/// On which side of its bound a figure has to stay.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// It may not be greater.
    AtMost(f64),
    /// It may not be smaller.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

impl Figures {
    /// Notes whether a figure is within its bound.
    pub fn check(&mut self, name: &str, figure: f64, bound: Bound) {
        if !bound.holds(figure) {
            self.missed.push(format!("{name}: {figure:.2}, {bound}"));
        }
    }

    /// Notes that something went wrong beside all figures.
    pub fn fail(&mut self, what: String) {
        self.missed.push(what);
    }

    /// Prints a figure with its bound, and notes whether it holds.
    pub fn line(&mut self, name: &str, figure: f64, unit: &str, bound: Bound) {
        println!("| {name} | {figure:.2}{unit} | {bound} |");
        self.check(name, figure, bound);
    }

    /// Prints what was missed, and says whether nothing was.
    pub fn end(self) -> bool {
        match self.missed.as_slice() {
            [] => println!("\nall figures reached"),
            missed => println!("\nmissed:\n- {}", missed.join("\n- ")),
        }
        self.missed.is_empty()
    }
}

/// Begins a table of single figures.
pub fn table(about: &str) {
    println!("\n| {about} | | asked |\n|---|---|---|");
}
