/**
 * This browser's public key with the account: `POST /device-credentials` with `create:` and `DELETE /device-credentials/{id}`
 * with `delete:current_user_device_credentials`. No scope of a person lists them, so the browser remembers its own.
 */
import { ask } from '../ask.ts';
import { card, fill, focusTitle } from '../card.ts';
import { type Device, fingerprint, forget, nameOfBrowser, newKeys, publicKey, recall, remember } from '../device.ts';
import { announce, button, element, listening } from '../dom.ts';
import { instant } from '../format.ts';
import type { Management } from '../management.ts';
import { explain } from '../problem.ts';
import { type Ended, type Session, SessionEnded } from '../session.ts';

/** A device, and its key as people compare it. */
type Known = { device: Device; print: string } | undefined;

/** The card "This device". */
export function deviceCard(api: Management, session: Session, ended: Ended): HTMLElement {
  const { section, body } = card('device', 'This device', 'Registering gives this browser a key that apps can know it by. Its private half never leaves the browser.');
  void fill(body, load, view, ended);
  return section;

  async function load(): Promise<Known> {
    const device = await recall(session.userId);
    return device && { device, print: await fingerprint(device.keys) };
  }

  function view(known: Known): Node[] {
    const note = element('p', { class: 'muted note' }, 'Only an administrator can list all devices of an account. This page remembers the one it registered in this browser.');
    return [...(known ? registered(known) : unregistered()), note];
  }

  function unregistered(): Node[] {
    const problem = element('p', { class: 'problem', id: 'device-problem', role: 'alert' });
    const name = element('input', { id: 'device-name', name: 'device_name', type: 'text', maxlength: 100, autocomplete: 'off', 'aria-describedby': 'device-problem' });
    name.value = nameOfBrowser(navigator.userAgent);
    const save = element('button', { type: 'submit', class: 'button quiet' }, 'Register this device');
    const form = element(
      'form',
      { novalidate: true },
      element('label', { for: 'device-name' }, 'Name of this device'),
      name,
      problem,
      element('div', { class: 'actions' }, save),
    );
    const complain = (text: string) => {
      problem.textContent = text;
      if (text) name.setAttribute('aria-invalid', 'true');
      else name.removeAttribute('aria-invalid');
    };
    listening(form, {
      submit: (event) => {
        event.preventDefault();
        void submit();
      },
    });
    return [element('p', { class: 'empty' }, 'This browser is not registered.'), form];

    async function submit(): Promise<void> {
      const device_name = name.value.trim();
      complain(device_name ? '' : 'Give this device a name.');
      if (!device_name) return name.focus();
      save.disabled = true;
      save.textContent = 'Registering…';
      try {
        show(await register(device_name), 'This device is registered.');
      } catch (error) {
        if (error instanceof SessionEnded) return ended(error.why);
        problem.textContent = explain(error);
        save.disabled = false;
        save.textContent = 'Register this device';
        save.focus();
      }
    }
  }

  async function register(device_name: string): Promise<Known> {
    const [keys, device_id] = [await newKeys(), crypto.randomUUID()];
    const { id } = await api.registerDevice({ device_name, device_id, value: await publicKey(keys) });
    const device = { user_id: session.userId, device_id, device_name, keys, credential_id: id, registered_at: Date.now() };
    try {
      await remember(device);
    } catch (error) {
      // A registration that the browser cannot remember is one that nobody could remove.
      await api.removeDevice(id);
      throw error;
    }
    return { device, print: await fingerprint(keys) };
  }

  function registered({ device, print }: NonNullable<Known>): Node[] {
    const place = element('div', {});
    const close = () => place.replaceChildren(element('div', { class: 'actions' }, button('Remove this device', 'quiet', remove)));
    close();
    const rows: [string, Node | string][] = [
      ['Registered', instant(device.registered_at)],
      ['Key', element('code', {}, print)],
      ['Credential', element('code', {}, device.credential_id)],
    ];
    return [
      element('p', { class: 'with-badge row-name' }, device.device_name, element('span', { class: 'badge good' }, 'Registered')),
      element('dl', { class: 'facts' }, ...rows.map(([term, value]) => element('div', {}, element('dt', {}, term), element('dd', {}, value)))),
      place,
    ];

    function remove(): void {
      place.replaceChildren(ask(
        {
          title: `Remove ${device.device_name}?`,
          details: ['Apps no longer know this browser, and its key is deleted. You stay signed in and can register it again.'],
          yes: 'Remove',
          busy: 'Removing…',
          no: 'Keep it',
          danger: true,
        },
        async () => {
          await api.removeDevice(device.credential_id);
          await forget(session.userId);
          show(undefined, 'This device is removed.');
        },
        () => {
          close();
          place.querySelector('button')?.focus();
        },
        session,
        ended,
      ));
    }
  }

  function show(known: Known, message: string): void {
    body.replaceChildren(...view(known));
    announce(message);
    focusTitle(body);
  }
}
