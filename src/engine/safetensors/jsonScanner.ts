/**
 * JsonScanner: reads JSON text strictly, token by token, and says no wherever the reference reader's parser does.
 *
 * `JSON.parse` will not do for untrusted headers: it forgets that a field came twice, takes `2.0`, `-0` and numbers above 2^53 for what they
 * are not, and accepts half a surrogate pair.
 */

/** A whole number: a bigint only where a number would not be exact, so that `===` and `<` mean what they say. */
export type Whole = number | bigint;

export class JsonSyntaxError extends Error {
  constructor(
    message: string,
    /** Index into the text. */
    readonly at: number,
  ) {
    super(message);
  }
}

/** Arrays and objects may nest this deep: one less than the reference's recursion limit. */
const MAX_DEPTH = 127;
/** Every number of so many digits is exact. */
const EXACT_DIGITS = 15;
const MAX_U64 = 2n ** 64n - 1n;
/** A backslash or a control character: whatever is neither from space to [ nor from ] on. */
const NOT_PLAIN = /[^ -[\]-\uffff]/;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

export class JsonScanner {
  private at = 0;
  private depth = 0;

  /** Every string of the text ends at the next quotation mark. Found out once, which most headers repay with a quick search. */
  private readonly hasPlainStrings: boolean;

  constructor(private readonly text: string) {
    this.hasPlainStrings = !NOT_PLAIN.test(text);
  }

  /** The next token's first character, or '' at the end. */
  peek(): string {
    this.skipWhitespace();
    return this.text.charAt(this.at);
  }

  fail(message: string): never {
    throw new JsonSyntaxError(message, this.at);
  }

  /** Calls `onField` at each value of an object; `onField` must consume it. */
  object(onField: (name: string) => void): void {
    this.enter('{', 'an object');
    if (!this.take('}')) {
      do {
        const name = this.string();
        if (!this.take(':')) this.fail("expected ':'");
        onField(name);
      } while (this.take(','));
      if (!this.take('}')) this.fail("expected ',' or '}'");
    }
    this.depth -= 1;
  }

  /** Calls `onItem` at each value of an array; `onItem` must consume it. */
  array(onItem: (index: number) => void): void {
    this.enter('[', 'an array');
    if (!this.take(']')) {
      let index = 0;
      do onItem(index++);
      while (this.take(','));
      if (!this.take(']')) this.fail("expected ',' or ']'");
    }
    this.depth -= 1;
  }

  string(): string {
    if (!this.take('"')) this.fail('expected a string');
    const start = this.at;
    const end = this.hasPlainStrings ? this.text.indexOf('"', start) : this.endOfPlainPart(start);
    if (this.text.charCodeAt(end) !== QUOTE) return this.stringWithEscapes(start, end);
    this.at = end + 1;
    return this.text.slice(start, end);
  }

  /** A non-negative integer below 2^64, written as digits alone. */
  whole(): Whole {
    this.skipWhitespace();
    const start = this.at;
    let end = start;
    let value = 0;
    for (let code = this.text.charCodeAt(end); isDigit(code); code = this.text.charCodeAt(end)) {
      value = value * 10 + (code - ZERO);
      end += 1;
    }
    const isPlain = end > start && (end === start + 1 || this.text.charCodeAt(start) !== ZERO) && !'.eE'.includes(this.text[end] ?? ' ');
    if (!isPlain) this.fail('expected a non-negative integer');
    this.at = end;
    if (end - start <= EXACT_DIGITS) return value;
    const exact = BigInt(this.text.slice(start, end));
    if (exact > MAX_U64) this.fail('the number does not fit 64 bits');
    return exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact;
  }

  /** Takes the word `null` if it comes next. */
  takeNull(): boolean {
    this.skipWhitespace();
    return this.takeWord('null');
  }

  /** Any value, checked as strictly as the rest and forgotten. */
  skipValue(): void {
    switch (this.peek()) {
      case '{':
        this.object(() => this.skipValue());
        return;
      case '[':
        this.array(() => this.skipValue());
        return;
      case '"':
        this.string();
        return;
      default:
        if (this.takeWord('null') || this.takeWord('true') || this.takeWord('false')) return;
        if (!Number.isFinite(Number(this.numberLiteral()))) this.fail('the number is out of range');
    }
  }

  /** Only whitespace may follow. */
  end(): void {
    this.skipWhitespace();
    if (this.at < this.text.length) this.fail('unexpected text after the end of the object');
  }

  private enter(bracket: '{' | '[', expected: string): void {
    if (!this.take(bracket)) this.fail(`expected ${expected}`);
    this.depth += 1;
    if (this.depth > MAX_DEPTH) this.fail('nested too deeply');
  }

  private take(character: string): boolean {
    this.skipWhitespace();
    if (this.text.charCodeAt(this.at) !== character.charCodeAt(0)) return false;
    this.at += 1;
    return true;
  }

  private takeWord(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private skipWhitespace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== SPACE && code !== LINE_FEED && code !== CARRIAGE_RETURN && code !== TAB) return;
      this.at += 1;
    }
  }

  private numberLiteral(): string {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (match === null) this.fail('expected a value');
    this.at += match[0].length;
    if (isDigit(this.text.charCodeAt(this.at))) this.fail('a number must not begin with 0');
    return match[0];
  }

  /** The first character from `start` that a string does not simply contain. */
  private endOfPlainPart(start: number): number {
    let end = start;
    for (let code = this.text.charCodeAt(end); code >= SPACE && code !== QUOTE && code !== BACKSLASH; code = this.text.charCodeAt(end)) {
      end += 1;
    }
    return end;
  }

  private stringWithEscapes(start: number, endOfFirstPart: number): string {
    if (endOfFirstPart < 0) this.fail('a string is not closed');
    let text = this.text.slice(start, endOfFirstPart);
    this.at = endOfFirstPart;
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code === QUOTE) {
        this.at += 1;
        return text;
      }
      if (Number.isNaN(code)) this.fail('a string is not closed');
      if (code < SPACE) this.fail('a control character in a string');
      if (code === BACKSLASH) {
        text += this.escape();
      } else {
        const end = this.endOfPlainPart(this.at);
        text += this.text.slice(this.at, end);
        this.at = end;
      }
    }
  }

  private escape(): string {
    const letter = this.text.charAt(this.at + 1);
    if (letter === 'u') return this.unicodeEscape();
    const character = SIMPLE_ESCAPES.get(letter);
    if (character === undefined) this.fail('unknown escape in a string');
    this.at += 2;
    return character;
  }

  /** A surrogate counts only as a pair of escapes, high before low. */
  private unicodeEscape(): string {
    const first = this.hex4(this.at);
    if (first < 0xd800 || first > 0xdfff) {
      this.at += 6;
      return String.fromCharCode(first);
    }
    const second = first <= 0xdbff && this.text.startsWith('\\u', this.at + 6) ? this.hex4(this.at + 6) : 0;
    if (second < 0xdc00 || second > 0xdfff) this.fail('half a surrogate pair in a string');
    this.at += 12;
    return String.fromCharCode(first, second);
  }

  private hex4(escapeAt: number): number {
    const digits = this.text.slice(escapeAt + 2, escapeAt + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('\\u needs four hexadecimal digits');
    return Number.parseInt(digits, 16);
  }
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9;
}
