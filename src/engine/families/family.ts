/** Family: what is known of one kind of model, as data: how it is recognised, and which tensors are kept or removed and why. */

export type Category = 'diffusion' | 'video' | 'text encoder' | 'language model' | 'autoencoder';

/** Whose names the tensors bear: those of the model's authors (ComfyUI's too), of diffusers, or of transformers. */
export type Naming = 'original' | 'diffusers' | 'transformers';

/** A size that must be met; `*` leaves it free. */
export type Dimension = number | '*';

/** A tensor's name within its component, `{a,b}` standing for either, and where it tells families apart, its shape. */
export type TensorFact = string | readonly [name: string, shape: readonly Dimension[]];

export interface Signature {
  readonly naming: Naming;
  /** What may stand between the component's prefix and the names below; nothing unless told. */
  readonly stems?: readonly string[];
  /** Tensors that must all be there. The first is looked for to find the component, so it should be the most telling. */
  readonly tensors: readonly [TensorFact, ...TensorFact[]];
  /** Tensors of relatives: none may be there. */
  readonly absent?: readonly TensorFact[];
}

/**
 * Which tensors of a component, and why. The pattern is a part of the name within the component; `^` at its start is the name's start, and
 * nothing at all is every tensor. `{first}`, `{first+1}`, `{last-1}` and `{last}` stand for the numbers of blocks that the file has there.
 */
export interface NameRule {
  readonly pattern: string;
  /** Ends a sentence: "…: it turns the time step into what steers every block." */
  readonly reason: string;
}

export interface Family {
  readonly id: string;
  readonly title: string;
  readonly category: Category;
  readonly signatures: readonly [Signature, ...Signature[]];
  /** More general families whose signature this one meets as well: where both fit, this one is meant. */
  readonly specialises?: readonly string[];
  /** Kept in the original dtype. */
  readonly keep: readonly NameRule[];
  readonly remove?: readonly NameRule[];
  /** What a user of this family should know, each by naming where it matters for one alone. */
  readonly notes?: readonly FamilyNote[];
}

export interface FamilyNote {
  /** Only for files of this naming. */
  readonly naming?: Naming;
  readonly text: string;
}
