/** What apps keep about the person: read by `GET`, changed by `PATCH /users/{id}` with `update:` and `create:current_user_metadata`. */
import { card, fill } from '../card.ts';
import { announce, button, element, listening } from '../dom.ts';
import { readable } from '../format.ts';
import type { Json, Management, User } from '../management.ts';
import { parse, patch } from '../metadata.ts';
import { explain } from '../problem.ts';
import { type Ended, SessionEnded } from '../session.ts';

/** The metadata card: a readable list, and an editor for the part that is the person's own. */
export function metadataCard(api: Management, ended: Ended): HTMLElement {
  const { section, body } = card('metadata', 'Metadata', 'Small settings that apps keep with your account. You can change these yourself.');
  void fill(body, () => api.user(['user_id', 'user_metadata', 'app_metadata']), view, ended);
  return section;

  function view(user: User): Node[] {
    const own = user.user_metadata ?? {};
    const edit = button('Edit metadata', 'quiet', () => body.replaceChildren(...editor(user)));
    const shown = Object.keys(own).length > 0
      ? readable(own)
      : element('p', { class: 'empty' }, 'Nothing here yet. Apps you sign in to can keep things like your theme or language here, and so can you.');
    return [shown, ...managed(user.app_metadata), element('div', { class: 'actions' }, edit)];
  }

  function editor(user: User): Node[] {
    const old = user.user_metadata ?? {};
    const problem = element('p', { class: 'problem', id: 'metadata-problem', role: 'alert' });
    const field = element('textarea', {
      id: 'metadata-json', name: 'metadata', spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off',
      'aria-describedby': 'metadata-hint metadata-problem',
    });
    field.value = JSON.stringify(old, null, 2);
    const save = element('button', { type: 'submit', class: 'button primary' }, 'Save');
    const cancel = button('Cancel', 'quiet', () => back(user));
    const form = element(
      'form',
      { class: 'editor', novalidate: true },
      element('label', { for: 'metadata-json' }, 'Metadata as JSON'),
      element('p', { class: 'muted', id: 'metadata-hint' }, 'An object with your names and values. A name you delete here is removed.'),
      field,
      problem,
      element('div', { class: 'actions' }, save, cancel),
    );
    listening(field, { input: () => field.hasAttribute('aria-invalid') && judge() });
    listening(form, {
      submit: (event) => {
        event.preventDefault();
        void submit();
      },
      keydown: (event) => {
        if (event.key === 'Escape') back(user);
      },
    });
    field.rows = Math.min(Math.max(field.value.split('\n').length + 1, 8), 24);
    field.setSelectionRange(0, 0);
    queueMicrotask(() => field.focus());
    return [form];

    function judge(): Json | undefined {
      const result = parse(field.value);
      complain('problem' in result ? result.problem : '');
      return 'value' in result ? result.value : undefined;
    }

    function complain(text: string): void {
      problem.textContent = text;
      if (text) field.setAttribute('aria-invalid', 'true');
      else field.removeAttribute('aria-invalid');
    }

    async function submit(): Promise<void> {
      const next = judge();
      if (!next) return field.focus();
      const change = patch(old, next);
      if (!change) {
        announce('Nothing was changed.');
        return back(user);
      }
      save.disabled = true;
      save.textContent = 'Saving…';
      try {
        const saved = await api.changeMetadata(change);
        announce('Metadata saved.');
        back(saved);
      } catch (error) {
        if (error instanceof SessionEnded) return ended(error.why);
        complain(explain(error));
        save.disabled = false;
        save.textContent = 'Save';
        field.focus();
      }
    }
  }

  function back(user: User): void {
    body.replaceChildren(...view(user));
    body.querySelector<HTMLElement>('button')?.focus();
  }
}

/** What the operator's apps keep: shown, because it is about the person, and not editable. */
function managed(app: Json | undefined): Node[] {
  if (!app || Object.keys(app).length === 0) return [];
  return [element('h3', {}, 'Set by the apps'), element('p', { class: 'muted' }, 'Only the apps’ operators change these.'), readable(app)];
}
