/** The version in package.json, put in by the bundler. */
declare const FP8_VERSION: string;

export const version: string = FP8_VERSION;
